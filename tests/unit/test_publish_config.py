"""The publishing settings: defaults that reach nobody, and odd files that raise nothing but our own errors."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from airside.config.publish import PublishConfig, load_publish
from airside.errors import AirsideError, UsageError

EXAMPLE = Path(__file__).parents[2] / "configs" / "publish.yaml"


def test_all_is_off_and_on_loopback_by_default() -> None:
    config = PublishConfig()
    assert [config.zenoh.enabled, config.recorder.enabled, config.metrics.enabled] == [False] * 3
    assert config.zenoh.connect == ("tcp/localhost:7447",)
    assert config.zenoh.listen == ()


def test_the_example_file_says_the_defaults() -> None:
    assert load_publish(EXAMPLE) == PublishConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zenoh: {domain_id: 233}", "domain_id"),
        ("zenoh: {connect: [], listen: []}", "at least one"),
        ("zenoh: {connect: ['localhost:7447']}", "no endpoint"),
        ("zenoh: {topic_prefix: airside}", "topic_prefix"),
        ("zenoh: {topic_prefix: /airside/}", "topic_prefix"),
        ("zenoh: {node: 'a b'}", "node"),
        ("zenoh: {rate_hz: 0}", "rate_hz"),
        ("zenoh: {attachment: both}", "attachment"),
        ("zenoh: {on: true}", "unknown key"),
        ("recorder: {pictures_every: -1}", "pictures_every"),
        ("recorder: {jpeg_quality: 0}", "jpeg_quality"),
        ("recorder: {sync_s: 0}", "sync_s"),
        ("metrics: {port: 65536}", "port"),
        ("recorder: {}\nrecorder: {}", "twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "publish.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_publish(path)


def test_500_mutated_files_raise_only_our_own_errors(tmp_path: Path) -> None:
    draw, path, refused = random.Random(3), tmp_path / "publish.yaml", 0
    good = EXAMPLE.read_bytes()
    for _ in range(500):
        data = bytearray(good)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.choice(b"{}[]:-#'\"\n\t &*!0129az\x00\xff")
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            load_publish(path)
        except AirsideError:
            refused += 1
    assert refused > 100
