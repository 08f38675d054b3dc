"""The feature choice reads back what it writes, and refuses what means nothing."""

from __future__ import annotations

import pytest

from airside.errors import UsageError
from airside.model.features import FeatureKind, FeatureSpec


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("last", FeatureSpec()),
        ("keys", FeatureSpec(FeatureKind.KEYS)),
        ("blocks:2,5,11", FeatureSpec(FeatureKind.BLOCKS, (2, 5, 11))),
    ],
)
def test_text_and_back(text: str, wanted: FeatureSpec) -> None:
    assert FeatureSpec.parse(text) == wanted
    assert str(wanted) == text


@pytest.mark.parametrize("text", ["", "first", "blocks:a", "blocks:1,,2"])
def test_refuses_what_is_no_feature(text: str) -> None:
    with pytest.raises(UsageError, match="wanted last, keys, or blocks"):
        FeatureSpec.parse(text)


@pytest.mark.parametrize("text", ["blocks", "blocks:", "last:1", "keys:0"])
def test_blocks_and_only_blocks_name_blocks(text: str) -> None:
    with pytest.raises(UsageError, match="only 'blocks' names blocks"):
        FeatureSpec.parse(text)
