"""The apron's surface: what is painted is what is labelled, and where it lies in the world."""

from __future__ import annotations

import numpy as np
import pytest

from training.apron.ground import (
    EXTENT_M,
    STAND_STOP_Y_M,
    STAND_X_M,
    TEXTURE_PX,
    YELLOW,
    Ground,
    Surface,
    _Painter,
    _px,
    draw_ground,
)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return draw_ground(np.random.default_rng(0))


def _centres(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """World positions of texel centres."""
    step = EXTENT_M / TEXTURE_PX
    return np.stack([(cols + 0.5) * step - EXTENT_M / 2, EXTENT_M / 2 - (rows + 0.5) * step], axis=-1)


def test_shapes_and_surfaces(ground: Ground) -> None:
    assert ground.texture.shape == (TEXTURE_PX, TEXTURE_PX, 3)
    assert ground.texture.dtype == ground.labels.dtype == np.uint8
    share = np.bincount(ground.labels.ravel(), minlength=3) / ground.labels.size
    assert share[Surface.TARMAC] > 0.8
    assert 0.005 < share[Surface.MARKING] < 0.1
    assert 0.02 < share[Surface.GRASS] < 0.15


def test_surface_at_returns_every_texel_it_is_asked_for(ground: Ground) -> None:
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(0, TEXTURE_PX, (2, 50, 40))
    np.testing.assert_array_equal(ground.surface_at(_centres(rows, cols)), ground.labels[rows, cols])


def test_painter_and_reader_agree_on_where_things_are(ground: Ground) -> None:
    for x in STAND_X_M:
        col, row = _px(x, 20.0)
        assert abs(_centres(np.array(row), np.array(col)) - (x, 20.0)).max() < EXTENT_M / TEXTURE_PX
        lead_in = np.stack([np.full(100, x), np.linspace(-60, STAND_STOP_Y_M - 1, 100)], axis=1)
        assert (ground.surface_at(lead_in) == Surface.MARKING).mean() > 0.95


def test_outside_the_square_is_grass(ground: Ground) -> None:
    far = np.array([(EXTENT_M, 0.0), (-EXTENT_M, 0.0), (0.0, EXTENT_M), (0.0, -EXTENT_M), (EXTENT_M / 2 + 0.1, 0.0)])
    assert (ground.surface_at(far) == Surface.GRASS).all()


def test_labels_agree_with_the_texture(ground: Ground) -> None:
    """Yellow paint is labelled as marking, grass is greenest, and tarmac is grey."""
    rgb = ground.texture.astype(np.int32)
    yellow = (rgb[..., 0] - rgb[..., 2] > 90) & (rgb[..., 1] - rgb[..., 2] > 50)
    assert yellow.sum() > 10_000
    assert (ground.labels[yellow] == Surface.MARKING).mean() > 0.99
    grass, tarmac = rgb[ground.labels == Surface.GRASS], rgb[ground.labels == Surface.TARMAC]
    assert (grass[:, 1] > grass[:, 0]).mean() > 0.99
    assert (grass[:, 1] > grass[:, 2]).mean() > 0.99
    assert np.percentile(np.ptp(tarmac, axis=1), 95) < 45


def test_a_line_is_labelled_where_it_is_painted() -> None:
    image = np.full((TEXTURE_PX, TEXTURE_PX, 3), 0.4, np.float32)
    paint = _Painter(np.random.default_rng(0), image)
    paint.line([(-10.0, 5.0), (10.0, 5.0)], 1.0, YELLOW)
    changed = np.abs(image - 0.4).max(axis=-1) > 0.1
    marked = paint.labels == Surface.MARKING
    assert (changed & marked).sum() / (changed | marked).sum() > 0.9
    world = _centres(*np.nonzero(marked))
    assert abs(world.mean(axis=0) - (0, 5)).max() < 0.1
    np.testing.assert_allclose(np.ptp(world, axis=0), (21, 1), atol=0.5)


def test_a_line_off_the_apron_changes_nothing() -> None:
    image = np.full((TEXTURE_PX, TEXTURE_PX, 3), 0.4, np.float32)
    paint = _Painter(np.random.default_rng(0), image)
    paint.line([(500.0, 500.0), (600.0, 500.0)], 1.0, YELLOW)
    assert not paint.labels.any()
    assert (image == np.float32(0.4)).all()


def test_the_same_seed_draws_the_same_apron_and_another_another(ground: Ground) -> None:
    again, other = (draw_ground(np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again.texture, ground.texture)
    np.testing.assert_array_equal(again.labels, ground.labels)
    assert (other.texture != ground.texture).any()
