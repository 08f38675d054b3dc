"""Support pictures: boxes, views, the share of each patch that an object covers, and crops that come back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.engine.bundle import Manifest
from airside.engine.onnx import OnnxEngine
from airside.enrolment.support import (
    KEPT_SIDE_PX,
    MAX_ENLARGEMENT,
    SupportImage,
    decode_crop,
    encode_crop,
    kept_crop,
    mask_from_box,
    patch_cover,
    pixels_sha256,
    views_of,
)
from airside.errors import CorruptError, InputError
from airside.messages import Box, NetworkInput
from tests.builders import apron_like_picture

NAN = float("nan")


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 3, 5, 9), (3, 9), (2, 5)),
        ((-4, -4, 5, 9), (0, 9), (0, 5)),  # what hangs over is cut off
        ((15, 8, 99, 99), (8, 10), (15, 20)),
        ((1.6, 2.4, 4.4, 5.6), (2, 6), (2, 4)),
        ((0, 0, 0.3, 0.3), (0, 1), (0, 1)),
    ],
)
def test_a_box_fills_its_pixels(box: Box, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    wanted = np.zeros((10, 20), bool)
    wanted[slice(*rows), slice(*columns)] = True
    assert np.array_equal(mask_from_box(box, (10, 20), "a.png"), wanted)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((5, 2, 5, 4), "no area"),
        ((5, 4, 8, 4), "no area"),
        ((8, 2, 5, 4), "no area"),
        ((5, 4, 8, 2), "no area"),
        *[((*[1.0] * k, bad, *[9.0] * (3 - k)), "no area") for k in range(4) for bad in (NAN, np.inf, -np.inf)],
        ((20, 2, 25, 4), "outside the 20x10"),
        ((2, 10, 5, 14), "outside the 20x10"),
        ((-9, 2, 0, 4), "outside the 20x10"),
        ((2, -9, 5, 0), "outside the 20x10"),
    ],
)
def test_refuses_a_box_that_holds_nothing(box: Box, words: str) -> None:
    with pytest.raises(InputError, match=rf"^a\.png: box .*{words}"):
        mask_from_box(box, (10, 20), "a.png")


def _cover_reference(mask: np.ndarray, net: NetworkInput, manifest: Manifest, samples: int = 6) -> np.ndarray:
    """Look up the mask at ``samples`` x ``samples`` places within every network pixel, one at a time."""
    patch, (rows, cols) = manifest.patch_px, manifest.grid
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    cover = np.zeros((rows, cols))
    for v in range(manifest.height_px):
        for u in range(manifest.width_px):
            x = np.floor((u + steps) * net.scale[0] + net.offset_px[0] + 0.5).astype(int)
            y = np.floor((v + steps) * net.scale[1] + net.offset_px[1] + 0.5).astype(int)
            in_x, in_y = x[(x >= 0) & (x < mask.shape[1])], y[(y >= 0) & (y < mask.shape[0])]
            cover[v // patch, u // patch] += mask[np.ix_(in_y, in_x)].sum() / samples**2
    return cover / patch**2 * net.observed


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((112, 196), (30, 20, 120, 70)),  # shrunk by 2
        ((112, 196), (0, 0, 196, 112)),
        ((300, 500), (211, 13, 333, 290)),  # shrunk by about 5
        ((56, 98), (15, 15, 40, 41)),  # as it is
        ((30, 50), (10, 6, 25, 22)),  # enlarged
        ((100, 60), (10, 30, 50, 80)),  # bars left and right
        ((40, 196), (30, 5, 120, 33)),  # bars above and below
        ((90, 80), (0, 0, 80, 90)),  # a patch that is mostly bar shows nothing
    ],
)
def test_patch_cover_agrees_with_looking_up_every_pixel(engine: OnnxEngine, shape: tuple[int, int], box: Box) -> None:
    m = engine.manifest
    net = fit_to_network(np.zeros((*shape, 3), np.uint8), m.height_px, m.width_px, m.patch_px)
    mask = mask_from_box(box, shape, "")
    cover, wanted = patch_cover(mask, net, m), _cover_reference(mask, net, m)
    assert (cover.dtype, cover.shape) == (np.float32, m.grid)
    np.testing.assert_allclose(cover, wanted, atol=0.06)
    assert wanted.max() > 0.3
    other = np.zeros(shape, bool)
    other[:2, :2] = True
    assert not np.allclose(patch_cover(other, net, m), wanted, atol=0.06)


def _support(box: Box | None, size: tuple[int, int] = (196, 112)) -> SupportImage:
    image, _ = apron_like_picture(np.random.default_rng(0), size=size)
    return SupportImage("a", image, None if box is None else mask_from_box(box, image.shape[:2], "a"))


@pytest.mark.parametrize(
    ("box", "count"),
    [
        (None, 1),  # nobody knows where it is
        ((80, 40, 110, 60), 2),
        ((10, 10, 190, 100), 1),  # close enough already
        ((0, 90, 30, 112), 2),  # in a corner
    ],
)
def test_views(engine: OnnxEngine, box: Box | None, count: int) -> None:
    views = views_of(_support(box), 3, engine.manifest)
    assert len(views) == count
    for view in views:
        assert view.source == 3
        assert view.net.image.shape == (56, 98, 3)
        assert view.cover.shape == engine.manifest.grid
    if box is None:
        np.testing.assert_allclose(views[0].cover, 1.0, atol=1e-6)
    if count == 2:
        assert views[1].net.scale[0] < 0.8 * views[0].net.scale[0]
        assert views[1].cover.sum() > 1.5 * views[0].cover.sum()


def test_a_close_view_shows_the_object_by_half_and_never_blur(engine: OnnxEngine) -> None:
    half = views_of(_support((80, 40, 120, 60)), 0, engine.manifest)[1]
    assert half.net.scale[0] * engine.manifest.width_px == pytest.approx(2 * 40, rel=0.02)
    assert half.cover.sum() == pytest.approx((40 * 20) / half.net.scale[0] ** 2 / 14**2, rel=0.02)
    tiny = views_of(_support((80, 40, 84, 43)), 0, engine.manifest)[1]
    assert tiny.net.scale[0] == pytest.approx(1 / MAX_ENLARGEMENT, rel=0.05)


def test_a_view_is_cut_around_the_object(engine: OnnxEngine) -> None:
    support = _support((150, 80, 190, 110))
    assert support.mask is not None
    support.image[:] = 0
    support.image[support.mask] = 255
    close = views_of(support, 0, engine.manifest)[1]
    white = close.net.image.mean(axis=2).reshape(4, 14, 7, 14).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(close.cover, white, atol=0.06)


def test_a_kept_crop_comes_back() -> None:
    support = _support((80, 40, 120, 70))
    assert support.mask is not None
    crop = kept_crop(support, support.mask)
    back = decode_crop(crop, "tug #0")
    assert crop.sha256 == pixels_sha256(support.image)
    assert back.label == "tug #0"
    wanted = slice(10, 100), slice(40, 160)  # one object's size around it on every side
    assert np.array_equal(back.mask, support.mask[wanted])
    smooth = cv2.GaussianBlur(support.image[wanted], (5, 5), 0).astype(float)
    assert np.abs(cv2.GaussianBlur(back.image, (5, 5), 0) - smooth).mean() < 4  # and channels in their order


def test_a_large_crop_is_kept_smaller() -> None:
    support = _support((400, 200, 1200, 600), size=(1600, 900))
    assert support.mask is not None
    back = decode_crop(kept_crop(support, support.mask), "")
    assert max(back.image.shape) == KEPT_SIDE_PX
    assert back.mask is not None
    assert back.mask.mean() == pytest.approx(800 * 400 / (1600 * 900), rel=0.02)


def test_the_hash_is_of_pixels_and_shape() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    other = image.copy()
    other[3, 3, 2] ^= 1
    hashes = [pixels_sha256(i) for i in (image, other, image.reshape(2, 8, 3))]
    assert len(set(hashes)) == 3
    assert pixels_sha256(image[:, ::-1][:, ::-1]) == hashes[0]  # a strided view of the same pixels


def test_refuses_a_damaged_crop() -> None:
    support = _support((80, 40, 120, 70))
    assert support.mask is not None
    good = kept_crop(support, support.mask)
    smaller = encode_crop(support.image[:8, :8], np.zeros((8, 8), np.uint8), good.sha256)
    for bad in (
        replace(good, jpeg=b"x"),
        replace(good, jpeg=good.jpeg[:20]),
        replace(good, mask_png=b"x"),
        replace(good, mask_png=good.mask_png[:20]),
        replace(good, mask_png=smaller.mask_png),
    ):
        with pytest.raises(CorruptError, match=r"tug #1 is damaged.*airside bank verify"):
            decode_crop(bad, "tug #1")


def test_refuses_to_encode_what_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, np.zeros(0, np.uint8)))
    with pytest.raises(InputError, match="cannot be encoded"):
        encode_crop(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), "0" * 64)
