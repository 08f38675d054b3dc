"""The way to the network's size and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.cameras.fit import BAR_RGB, fit_to_network, fit_window
from airside.errors import InputError, UsageError


def image(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


@given(st.integers(14, 700), st.integers(14, 700))
@settings(max_examples=80, deadline=None)
def test_affine_maps_picture_edges_onto_each_other(height: int, width: int) -> None:
    try:
        fitted = fit_to_network(image(height, width), 224, 392, 14)
    except InputError:
        assert max(width / height / 1.75, 1.75 * height / width) > 8  # only very narrow pictures
        return
    assert fitted.image.shape == (224, 392, 3)
    assert fitted.observed.shape == (16, 28)
    for axis, size, total in ((0, width, 392), (1, height, 224)):
        scale, offset = fitted.scale[axis], fitted.offset_px[axis]
        first, last = (-0.5 - offset) / scale, (size - 0.5 - offset) / scale  # outer edges, network px
        assert first >= -0.5 - 1e-9
        assert last <= total - 0.5 + 1e-9
        assert first + 0.5 == pytest.approx(round(first + 0.5), abs=1e-6)  # bars are whole pixels
        assert last - first == pytest.approx(size / scale)
        back = (np.arange(total) * scale + offset - offset) / scale
        np.testing.assert_allclose(back, np.arange(total), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(448, 784), (112, 196), (500, 500), (900, 300), (200, 900), (720, 1280)])
def test_affine_finds_a_spot_again(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    v, u = np.mgrid[:height, :width]
    spot = (width * 0.31, height * 0.63)
    radius = max(height, width) / 40
    picture[np.hypot(u - spot[0], v - spot[1]) < radius] = 255
    fitted = fit_to_network(picture, 224, 392, 14)
    bright = fitted.image[:, :, 0].astype(float) * (np.abs(fitted.image.astype(int) - BAR_RGB).max(axis=2) > 0)
    bright[bright < 130] = 0
    rows, columns = np.mgrid[:224, :392]
    found_u = (bright * columns).sum() / bright.sum() * fitted.scale[0] + fitted.offset_px[0]
    found_v = (bright * rows).sum() / bright.sum() * fitted.scale[1] + fitted.offset_px[1]
    assert abs(found_u - spot[0]) < 0.6 * max(1, fitted.scale[0])
    assert abs(found_v - spot[1]) < 0.6 * max(1, fitted.scale[1])


@pytest.mark.parametrize("width", [1245, 1280, 1310])  # 16:9.3 to 16:8.8, within 5 % of 392:224
def test_small_stretch_needs_no_bars(width: int) -> None:
    fitted = fit_to_network(image(720, width), 224, 392, 14)
    assert fitted.observed.all()
    assert (fitted.image == 200).all()


def test_bars_and_what_is_observed() -> None:
    fitted = fit_to_network(image(416, 416), 224, 392, 14)  # 84 px of bar on each side: 6 patches
    assert (fitted.image[:, :84] == BAR_RGB).all()
    assert (fitted.image[:, 84:308] == 200).all()
    assert fitted.observed[:, 6:22].all()
    assert not fitted.observed[:, :6].any()
    assert not fitted.observed[:, 22:].any()


def test_a_patch_counts_when_more_than_half_is_picture() -> None:
    # 392 x 203: bars of 10 and 11 px leave 4/14 and 3/14 of the outer rows.
    fitted = fit_to_network(image(203, 392), 224, 392, 14)
    assert not fitted.observed[0].any()
    assert not fitted.observed[-1].any()
    assert fitted.observed[1:-1].all()
    fitted = fit_to_network(image(212, 392), 224, 392, 14)  # 5.7 %: bars of 6 px leave 8/14
    assert fitted.observed.all()


def test_not_contiguous_input() -> None:
    wide = np.random.default_rng(0).integers(0, 255, (100, 175, 3), np.uint8)
    np.testing.assert_array_equal(
        fit_to_network(wide[:, ::-1], 224, 392, 14).image,
        fit_to_network(np.ascontiguousarray(wide[:, ::-1]), 224, 392, 14).image,
    )


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((0, 20, 3), np.uint8),
    ],
)
def test_refuses_wrong_arrays(bad: np.ndarray) -> None:
    with pytest.raises(UsageError, match="wanted an image"):
        fit_to_network(bad, 224, 392, 14)


@pytest.mark.parametrize(("height", "width", "patch"), [(225, 392, 14), (224, 391, 14), (0, 392, 14), (224, 392, 0)])
def test_refuses_wrong_sizes(height: int, width: int, patch: int) -> None:
    with pytest.raises(UsageError, match="multiple of its patch"):
        fit_to_network(image(20, 20), height, width, patch)


def test_refuses_a_thread() -> None:
    with pytest.raises(InputError, match="fill no patch"):
        fit_to_network(image(2000, 20), 224, 392, 14)


def test_a_window_is_that_part_of_the_picture_and_tells_the_frame_s_pixels() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (504, 882, 3), np.uint8)
    net = fit_window(frame, (245, 140, 392, 224), 224, 392, 14)
    np.testing.assert_array_equal(net.image, frame[140:364, 245:637])
    assert (net.scale, net.offset_px) == ((1.0, 1.0), (245.0, 140.0))
    larger = fit_window(frame, (100, 60, 700, 440), 224, 392, 14)
    whole = fit_to_network(frame[60:500, 100:800], 224, 392, 14)
    np.testing.assert_array_equal(larger.image, whole.image)
    assert larger.scale == whole.scale
    assert larger.offset_px == (whole.offset_px[0] + 100, whole.offset_px[1] + 60)
