"""Corruptions keep a picture's shape, grow with strength, repeat from their generator and mean what they are called."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from airside.errors import UsageError
from tests.builders import apron_like_picture
from training import corruptions
from training.corruptions import (
    BLUR_WIDTHS,
    BRIGHTNESS,
    DEPTH_UNKNOWN_M,
    LOSSES,
    LOW_LIGHT,
    PHOTONS,
    PICTURE_CORRUPTIONS,
    QUANT_BITS,
    READ_NOISE,
    STRENGTHS,
    corrupt,
    corrupt_some,
    lost_frames,
)

RANDOM = ("motion_blur", "low_light", "fog", "snow")
every_corruption = pytest.mark.parametrize("name", PICTURE_CORRUPTIONS)
every_strength = pytest.mark.parametrize("strength", STRENGTHS)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def picture() -> np.ndarray:
    return apron_like_picture(_rng(3))[0]


def _depth_m(image: np.ndarray) -> np.ndarray:
    """Level ground below a sky."""
    height, width = image.shape[:2]
    rows = np.arange(height, dtype=np.float32)
    column = np.where(rows > height // 3, 60 / np.maximum(rows - height // 3, 1), np.inf)
    return np.repeat(column[:, None], width, axis=1).astype(np.float32)


def test_the_eight_of_nuscenes_c() -> None:
    assert set(PICTURE_CORRUPTIONS) == {"colour_quant", "motion_blur", "brightness", "low_light", "fog", "snow"}
    assert set(LOSSES) == {"camera_crash", "frame_lost"}
    assert STRENGTHS == (1, 2, 3)


@every_corruption
@every_strength
def test_a_picture_of_the_same_kind_repeatable_and_new(name: str, strength: int, picture: np.ndarray) -> None:
    before = picture.copy()
    out = corrupt(picture, name, strength, _rng(), _depth_m(picture))
    assert (out.shape, out.dtype) == (picture.shape, np.uint8)
    assert np.array_equal(out, corrupt(picture, name, strength, _rng(), _depth_m(picture)))
    assert np.array_equal(out, corrupt(picture, name, strength, _rng(1), _depth_m(picture))) == (name not in RANDOM)
    out[:] = 0
    assert np.array_equal(picture, before)


@every_corruption
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_depth", [True, False])
def test_stronger_is_further_from_the_original(name: str, seed: int, with_depth: bool, picture: np.ndarray) -> None:
    depth = _depth_m(picture) if with_depth else None
    change = [np.abs(corrupt(picture, name, s, _rng(seed), depth) - picture.astype(float)).mean() for s in STRENGTHS]
    assert 1 < change[0] < change[1] < change[2]


@every_corruption
@every_strength
@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (56, 98)])
def test_constant_pictures_survive(name: str, strength: int, value: int, size: tuple[int, int]) -> None:
    image: np.ndarray = np.full((*size, 3), value, np.uint8)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        for depth in (None, np.zeros(size), np.full(size, np.inf)):
            out = corrupt(image, name, strength, _rng(), depth)
            assert (out.shape, out.dtype) == (image.shape, np.uint8)
    if name == "motion_blur":
        assert np.array_equal(out, image)
    if name in ("colour_quant", "brightness"):
        assert len(np.unique(out)) == 1


def test_a_view_of_an_array_is_as_good_as_a_copy(picture: np.ndarray) -> None:
    for name in PICTURE_CORRUPTIONS:
        mirrored = picture[:, ::-1]
        assert np.array_equal(corrupt(mirrored, name, 2, _rng()), corrupt(mirrored.copy(), name, 2, _rng()))


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("fog", 0, "strength is 1 "),
        ("fog", 4, "got 4"),
        ("rain", 1, "unknown picture corruption 'rain'.*colour_quant"),
        ("frame_lost", 1, "use lost_frames"),
    ],
)
def test_refused_names_and_strengths(name: str, strength: int, message: str, picture: np.ndarray) -> None:
    with pytest.raises(UsageError, match=message):
        corrupt(picture, name, strength, _rng())


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_refused_pictures(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="wanted an image"):
        corrupt(image, "snow", 1, _rng())


@pytest.mark.parametrize("depth", [np.ones((4, 5)), np.full((5, 4), np.nan), np.full((5, 4), -0.1)])
def test_refused_depths(depth: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"wanted a depth \[5, 4\]"):
        corrupt(np.zeros((5, 4, 3), np.uint8), "fog", 1, _rng(), depth)


@every_strength
def test_quantised_colours_are_the_floor_of_few_levels(strength: int, picture: np.ndarray) -> None:
    out = corrupt(picture, "colour_quant", strength, _rng())
    step = 2 ** (8 - QUANT_BITS[strength - 1])
    assert np.array_equal(out, picture // step * step)


@every_strength
def test_blur_spreads_a_dot_about_its_place(strength: int) -> None:
    image: np.ndarray = np.zeros((201, 800, 3), np.uint8)
    length_px = BLUR_WIDTHS[strength - 1] * 800
    image[96:105, 396:405] = 255  # a dot large enough that rounding takes nothing away
    out = corrupt(image, "motion_blur", strength, _rng()).astype(float)[..., 0]
    v, u = np.indices(out.shape)
    for axis, centre in ((u, 400), (v, 100)):
        assert (out * axis).sum() / out.sum() == pytest.approx(centre, abs=0.05)
    spread = (out * ((u - 400) ** 2 + (v - 100) ** 2)).sum() / out.sum()
    of_dot = 2 * (9**2 - 1) / 12
    assert 0 < spread - of_dot - length_px**2 / 12 < 0.4  # that of a box; bilinear spreading adds at most 1/3
    assert out.sum() == pytest.approx(81 * 255, rel=0.01)


@every_strength
def test_brightness_raises_the_hsv_value(strength: int, picture: np.ndarray) -> None:
    image = np.concatenate([picture[::9, ::7].reshape(-1, 3), [(0, 0, 0), (9, 0, 0), (255, 255, 255)]])
    out = corrupt(image[None].astype(np.uint8), "brightness", strength, _rng())[0]
    for before, after in zip(image, out, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(before / 255))
        wanted = np.array(colorsys.hsv_to_rgb(h, s, min(v + BRIGHTNESS[strength - 1], 1))) * 255
        np.testing.assert_allclose(after, wanted, atol=0.51)


@every_strength
def test_low_light_is_dark_and_noisy(strength: int) -> None:
    image: np.ndarray = np.full((200, 300, 3), 200, np.uint8)
    out = corrupt(image, "low_light", strength, _rng()) / 255
    k = strength - 1
    dark = LOW_LIGHT[k] * (200 / 255) ** 2
    assert out.mean() == pytest.approx(dark, rel=0.01)
    assert out.std() == pytest.approx(np.sqrt(dark / PHOTONS[k] + READ_NOISE[k] ** 2), rel=0.03)


@every_strength
def test_fog_takes_contrast_with_depth(strength: int, picture: np.ndarray) -> None:
    depth = np.full(picture.shape[:2], 5.0, np.float32)
    depth[:, 60:120], depth[:, 120:] = 40.0, np.inf
    out = corrupt(picture, "fog", strength, _rng(), depth)
    left = [out[:, part].std() / picture[:, part].std() for part in (np.s_[:60], np.s_[60:120], np.s_[120:])]
    assert 0.5 < left[0] < 1
    assert left[1] < 0.75 * left[0]
    assert len(np.unique(out[:, 120:].reshape(-1, 3), axis=0)) == 1  # the sky is all airlight
    assert np.array_equal(corrupt(picture, "fog", strength, _rng(), np.zeros_like(depth)), picture)
    everywhere = np.full_like(depth, DEPTH_UNKNOWN_M)
    assert np.array_equal(
        corrupt(picture, "fog", strength, _rng(), everywhere), corrupt(picture, "fog", strength, _rng())
    )


@every_corruption
def test_depth_is_for_fog_alone(name: str, picture: np.ndarray) -> None:
    with_depth, without = (corrupt(picture, name, 2, _rng(), d) for d in (_depth_m(picture), None))
    assert np.array_equal(with_depth, without) == (name != "fog")


@pytest.mark.parametrize("name", ["fog", "snow"])
def test_air_and_flakes_are_dark_by_night(name: str, picture: np.ndarray) -> None:
    by_day, by_night = (corrupt(p, name, 3, _rng()).max() for p in (picture, picture // 8))
    assert by_day > 140
    assert by_night < 80


def test_snow_shows_flakes(picture: np.ndarray) -> None:
    image: np.ndarray = np.full_like(picture, 60)
    image[::3] = 200
    rows = [corrupt(image, "snow", s, _rng())[1::3].astype(int) for s in STRENGTHS]
    brighter = [(row > row.min() + 40).mean() for row in rows]
    assert 0.005 < brighter[0] < brighter[1] < brighter[2] < 0.6


@pytest.mark.parametrize(("cameras", "crashed"), [(6, (2, 4, 5)), (1, (1, 1, 1)), (8, (3, 6, 7)), (3, (1, 2, 3))])
def test_a_crashed_camera_stays_black(cameras: int, crashed: tuple[int, int, int]) -> None:
    for strength, count in zip(STRENGTHS, crashed, strict=True):
        lost = lost_frames("camera_crash", 20, cameras, strength, _rng(5))
        assert (lost.shape, lost.dtype) == ((20, cameras), bool)
        assert (lost == lost[0]).all()
        assert lost[0].sum() == count
    assert len({tuple(lost_frames("camera_crash", 1, 6, 1, _rng(s))[0]) for s in range(20)}) > 3


def test_lost_frames_are_scattered() -> None:
    masks = [lost_frames("frame_lost", 2000, 6, s, _rng(1)) for s in STRENGTHS]
    for mask, share in zip(masks, (2 / 6, 4 / 6, 5 / 6), strict=True):
        assert mask.mean() == pytest.approx(share, abs=0.02)
        assert (mask[1:] & mask[:-1]).mean() == pytest.approx(share**2, abs=0.02)
        assert (mask[:, 1:] & mask[:, :-1]).mean() == pytest.approx(share**2, abs=0.02)
    assert not (masks[0] & ~masks[1]).any()
    assert np.array_equal(masks[0], lost_frames("frame_lost", 2000, 6, 1, _rng(1)))


@pytest.mark.parametrize(
    ("name", "frames", "cameras", "strength", "message"),
    [
        ("fog", 1, 1, 1, "unknown loss 'fog': choose from camera_crash, frame_lost"),
        ("frame_lost", 1, 1, 0, "strength is 1 "),
        ("frame_lost", 1, 1, 4, "strength is 1 "),
        ("frame_lost", 0, 6, 1, "got 0 and 6"),
        ("camera_crash", 6, 0, 1, "got 6 and 0"),
    ],
)
def test_refused_losses(name: str, frames: int, cameras: int, strength: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lost_frames(name, frames, cameras, strength, _rng())


def test_augmentation_takes_a_share(picture: np.ndarray) -> None:
    images = np.stack([picture[:28, :42]] * 150)
    out = corrupt_some(images, 0.3, _rng())
    assert np.array_equal(out, corrupt_some(images, 0.3, _rng()))
    assert not np.shares_memory(out, images)
    changed = (out != images).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.3, abs=0.1)
    assert len({image.tobytes() for image in out[changed]}) > 20  # several corruptions, strengths and draws
    assert np.array_equal(corrupt_some(images, 0.0, _rng()), images)
    assert (corrupt_some(images, 1.0, _rng()) != images).any(axis=(1, 2, 3)).all()


def test_augmentation_hands_each_picture_its_depth(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruptions, "PICTURE_CORRUPTIONS", {"fog": PICTURE_CORRUPTIONS["fog"]})
    images = np.stack([picture] * 4)
    depth = [np.full(picture.shape[:2], d, np.float32) for d in (0.0, 50.0, 0.0, 50.0)]
    changed = (corrupt_some(images, 1.0, _rng(), depth) != images).any(axis=(1, 2, 3))
    assert changed.tolist() == [False, True, False, True]


@pytest.mark.parametrize(("share", "depths", "message"), [(1.1, 2, "share"), (-0.1, 2, "share"), (0.5, 3, "one depth")])
def test_refused_augmentation(share: float, depths: int, message: str) -> None:
    images: np.ndarray = np.zeros((2, 14, 14, 3), np.uint8)
    with pytest.raises(UsageError, match=message):
        corrupt_some(images, share, _rng(), [np.ones((14, 14))] * depths)
