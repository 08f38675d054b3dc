"""Teaching a class through the command line: what it reports, what it refuses, and that a running engine follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from airside.bank.bank import PrototypeBank
from airside.bank.store import BankStore
from airside.cameras.decode import read_image
from airside.commands.artifacts import commit_prepared
from airside.commands.support_files import MAX_PICTURES, MAX_PIXELS, read_support
from airside.config import SiteConfig
from airside.engine.onnx import load_engine
from airside.errors import InputError, UsageError
from airside.messages import Frame, FrameBundle
from airside.pipeline import Pipeline
from tests.builders import apron_like_picture

Call = Callable[..., SimpleNamespace]


def test_registering_end_to_end(shop: SimpleNamespace, airside: Call) -> None:
    answer = airside(*shop.register_words(), "--json", "--message", "five views", "--author", "me")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    info = shop.store.head()
    assert (told["snapshot"], told["number"]) == (info.id, 2)
    assert (info.author, info.message) == ("me", "five views")
    assert (told["class"], told["pictures"]) == ("tug", 5)
    assert told["patches"] >= 20
    assert told["register_ms"] > 0
    assert told["hidden"] == []
    assert {"findings", "overlaps", "prototypes"} <= told.keys()
    assert shop.store.load()[0].names == ("tarmac", "sky", "person", "tug")


def test_a_running_engine_knows_it_at_its_next_tick(shop: SimpleNamespace, airside: Call) -> None:
    pipeline = Pipeline(load_engine(shop.model, 1), shop.store, site=SiteConfig(), rig={"front": None})
    image = read_image(shop.images[0])
    before = pipeline.tick(FrameBundle(0, (Frame("front", image, 0, 0),)))
    assert {s.region.name for s in before.record.sightings} == {"unknown"}
    assert airside(*shop.register_words()).code == 0
    after = pipeline.tick(FrameBundle(1, (Frame("front", image, 1, 1),)))
    assert after.record.bank_snapshot == shop.store.head_id() != before.record.bank_snapshot
    now, then = after.views[0].map, before.views[0].map
    assert now.class_names.index("tug") in now.class_index[now.ood_score < 0.5]
    assert now.ood_score.mean() < then.ood_score.mean()


def test_pictures_and_boxes_may_alternate(shop: SimpleNamespace, airside: Call) -> None:
    words = [word for image, box in zip(shop.images, shop.boxes, strict=True) for word in (str(image), "--box", box)]
    assert airside("register", "tug", *words, *shop.common).code == 0


def test_masks_and_a_readable_report(shop: SimpleNamespace, airside: Call) -> None:
    masks = []
    for k, (image, box) in enumerate(zip(shop.images, shop.boxes, strict=True)):
        x0, y0, x1, y1 = map(int, box.split(","))
        mask = np.zeros(read_image(image).shape[:2], np.uint8)
        mask[y0:y1, x0:x1] = 255
        cv2.imwrite(str(shop.path / f"mask{k}.png"), mask)
        masks += ["--mask", shop.path / f"mask{k}.png"]
    answer = airside("register", "tug", *shop.images, *masks, *shop.common)
    assert answer.code == 0
    assert "tug: " in answer.out
    assert "near duplicate" in answer.out
    assert "airside bank rollback 1" in answer.out


def test_no_box_finds_the_object_itself(shop: SimpleNamespace, airside: Call) -> None:
    assert airside("register", "tug", *shop.images, *shop.common).code == 0


def test_a_known_name_is_taught_further(shop: SimpleNamespace, airside: Call) -> None:
    assert airside(*shop.register_words(count=2)).code == 0
    boxes = [word for box in shop.boxes[2:] for word in ("--box", box)]
    more = airside("register", "tug", *shop.images[2:], *boxes, *shop.common)
    assert more.code == 0
    assert len(next(c for c in shop.store.load()[0].classes if c.name == "tug").support) == 5


def test_hiding_a_guarded_thing_is_refused_unless_overridden(shop: SimpleNamespace, airside: Call) -> None:
    rng = np.random.default_rng(9)
    words: list[str] = []
    for k in range(3):
        picture, box = apron_like_picture(rng, colour=(20, 160, 40))  # the colour of the guarded debris
        cv2.imwrite(str(shop.path / f"green{k}.png"), picture[:, :, ::-1])
        words += [str(shop.path / f"green{k}.png"), "--box", ",".join(map(str, box))]
    refused = airside("register", "mat", *words, *shop.common)
    assert refused.code == 7
    assert "debris" in refused.err
    assert "--allow-hiding" in refused.err
    assert shop.store.head().number == 1
    allowed = airside("register", "mat", *words, *shop.common, "--allow-hiding", "--json")
    assert allowed.code == 0
    assert json.loads(allowed.out)["hidden"][0]["name"] == "debris"


def test_somebody_elses_commit_in_between_is_kept(shop: SimpleNamespace) -> None:
    """The slow part runs before the lock; a commit in that time must not be overwritten."""
    other = BankStore(shop.bank)
    seen: list[tuple[str, ...]] = []

    def change(bank: PrototypeBank) -> PrototypeBank:
        seen.append(bank.names)
        if len(seen) == 1:
            other.commit(lambda b: replace(b, classes=(*b.classes, replace(b.classes[0], name="theirs"))), "x", "x")
        return replace(bank, classes=(*bank.classes, replace(bank.classes[0], name="mine")))

    commit_prepared(shop.store, change, "me", "mine")
    assert shop.store.load()[0].names[-2:] == ("theirs", "mine")
    assert len(seen) == 2


def test_large_pictures_are_made_smaller_with_their_masks(tmp_path: Path) -> None:
    picture = np.zeros((3000, 2000, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), picture)
    (support,) = read_support([tmp_path / "large.png"], [(500, 600, 1500, 2400)])
    height, width = support.image.shape[:2]
    assert height * width <= MAX_PIXELS * 1.01
    assert support.mask is not None
    assert support.mask.shape == (height, width)
    assert support.mask.mean() == pytest.approx(1000 * 1800 / 6e6, rel=0.01)
    with pytest.raises(InputError, match="too small"):
        read_support([tmp_path / "large.png"], [(100.0, 100.0, 100.4, 100.4)])


def test_too_many_pictures() -> None:
    with pytest.raises(UsageError, match="1 to 32"):
        read_support([Path("a.png")] * (MAX_PICTURES + 1), [])
