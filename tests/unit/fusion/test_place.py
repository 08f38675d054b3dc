"""Range from depth and ground: each where it is right, the nearer where they disagree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, MountConfig
from airside.fusion.footprint import THINNEST_M
from airside.fusion.mounted import MountedView, ego_rays, mounted_view
from airside.fusion.place import place
from airside.fusion.region_depth import MIN_PIXELS, metric_depth, percentile, region_points
from airside.geometry.ground_scale import plane_depth_m
from airside.messages import Kind, Placement, RangeSource, Region

MOUNT = CameraConfig("front", 784, 448, 680.0, 680.0, 391.5, 223.5, MountConfig((1.0, 0.0, 1.8), pitch_deg=5), 60.0)
SHAPE = (112, 196)  # of the depth map
FAR_M = 300.0  # of the sky


def view_of(mount: CameraConfig = MOUNT) -> MountedView:
    image = np.zeros((448, 784, 3), np.uint8)
    return mounted_view(mount, image.shape, fit_to_network(image, 224, 392, 14))


VIEW = view_of()


def ground_depth() -> np.ndarray:
    """[Hd, Wd] float32: an empty apron under an empty sky."""
    coarse = VIEW.network.scaled_to(SHAPE[1], SHAPE[0])
    return np.nan_to_num(plane_depth_m(coarse, VIEW.ego_from_cam), nan=FAR_M).clip(0, FAR_M).astype(np.float32)


def box_at(x_m: float, y_m: float, *, width: float = 2.0, bottom: float = 0.0, top: float = 1.5) -> Region:
    """A region that is a board across the view, its near face at ``x_m`` ahead of the ego origin."""
    corners = np.array([(x_m, y_m + s * width / 2, z) for s, z in ((1, top), (-1, top), (-1, bottom), (1, bottom))])
    outline = VIEW.frame.uv_from_xyz_cam(VIEW.ego_from_cam.inverse().points(corners))
    box = (*outline.min(axis=0), *(outline.max(axis=0) + 1))
    return Region(Kind.UNKNOWN, "cone", 0.4, 0.9, 9.0, box, outline.astype(np.float32))


def depth_with(region: Region, x_m: float) -> np.ndarray:
    """The apron with the region's own pixels on the plane ``x = x_m`` of the ego frame."""
    depth, rays = ground_depth(), ego_rays(VIEW, SHAPE)
    at = (VIEW.network_from_frame(region.outline_px) + 0.5) / 2 - 0.5
    (u0, v0), (u1, v1) = at.min(axis=0), at.max(axis=0)
    window = np.s_[max(math.ceil(v0), 0) : math.floor(v1) + 1, max(math.ceil(u0), 0) : math.floor(u1) + 1]
    depth[window] = (x_m - VIEW.ego_from_cam.translation_m[0]) / rays[window][..., 0]
    return depth


def placed(region: Region, depth_m: np.ndarray | None, view: MountedView = VIEW) -> Placement:
    found = place(region, view, depth_m)
    assert found is not None
    return found


def span(placement: Placement, axis: int) -> tuple[float, float]:
    values = [corner[axis] for corner in placement.footprint_xy_m]
    return min(values), max(values)


@pytest.mark.parametrize(("x_m", "y_m"), [(8.0, 0.0), (15.0, 3.0), (25.0, -4.0)])
def test_both_agree_on_what_stands_on_the_ground(x_m: float, y_m: float) -> None:
    region = box_at(x_m, y_m)
    found = placed(region, depth_with(region, x_m))
    assert found.source is RangeSource.BOTH
    assert found.range_m == pytest.approx(math.hypot(x_m, y_m), rel=0.02)
    assert found.xyz_ego_m == pytest.approx((x_m, y_m, 0), abs=0.8)  # of the two metres, the side that is nearer
    assert found.bearing_rad == pytest.approx(math.atan2(found.xyz_ego_m[1], found.xyz_ego_m[0]))
    assert span(found, 1) == pytest.approx((y_m - 1, y_m + 1), abs=0.25)
    near, far = span(found, 0)
    assert near == pytest.approx(x_m, abs=0.35)
    assert far - near < 0.6


def test_the_ground_alone() -> None:
    found = placed(box_at(12.0, 2.0), None)
    assert found.source is RangeSource.GROUND
    assert found.xyz_ego_m == pytest.approx((12.0, 2.0, 0.0), abs=0.05)
    assert span(found, 1) == pytest.approx((1.0, 3.0), abs=0.15)
    near, far = span(found, 0)
    assert near == pytest.approx(12.0, abs=0.1)
    assert THINNEST_M * 0.9 <= far - near <= 2 * THINNEST_M


def test_a_hidden_foot_is_seen_through() -> None:
    """Only the top of a thing at 8 m is seen: the ray under it comes down at 24 m."""
    region = box_at(8.0, 0.0, bottom=1.2, top=1.6)
    assert placed(region, None).range_m > 20
    found = placed(region, depth_with(region, 8.0))
    assert (found.source, found.range_m) == (RangeSource.DEPTH, pytest.approx(8.0, abs=0.2))
    assert span(found, 0)[1] < 9


def test_nothing_is_seen_through_the_ground() -> None:
    region = box_at(10.0, 0.0)
    found = placed(region, depth_with(region, 30.0))
    assert found.source is RangeSource.GROUND
    assert found == replace(placed(region, None), footprint_xy_m=found.footprint_xy_m)
    assert span(found, 0)[0] == pytest.approx(10.0, abs=0.5)  # the footprint is where the range is


def test_a_flat_thing_on_the_ground_is_as_near_as_its_near_edge() -> None:
    """A sheet from 10 to 12 m: depth tells nothing but the ground, and that is right."""
    corners = np.array([(12, 1, 0), (12, -1, 0), (10, -1, 0), (10, 1, 0.0)])
    outline = VIEW.frame.uv_from_xyz_cam(VIEW.ego_from_cam.inverse().points(corners)).astype(np.float32)
    found = placed(replace(box_at(10, 0), outline_px=outline), ground_depth())
    assert found.source is RangeSource.BOTH
    assert found.range_m == pytest.approx(10.2, abs=0.4)
    near, far = span(found, 0)
    assert near == pytest.approx(10.2, abs=0.4)
    assert far == pytest.approx(11.8, abs=0.4)


def test_in_the_air_depth_alone_tells() -> None:
    region = box_at(20.0, 1.0, bottom=3.0, top=4.0)
    assert place(region, VIEW, None) is None
    found = placed(region, depth_with(region, 20.0))
    assert (found.source, found.range_m) == (RangeSource.DEPTH, pytest.approx(20.0, abs=0.5))


def test_depth_beyond_the_limit_is_no_range() -> None:
    sky = box_at(50.0, 0.0, bottom=8.0, top=12.0)
    assert place(sky, VIEW, ground_depth()) is None
    standing = box_at(20.0, 0.0)
    assert placed(standing, depth_with(standing, 200.0)).source is RangeSource.GROUND
    near = view_of(replace(MOUNT, max_range_m=15.0))
    assert place(standing, near, depth_with(standing, 20.0)) is None
    assert placed(standing, depth_with(standing, 12.0), near).source is RangeSource.DEPTH


def test_what_is_beside_the_region_does_not_count() -> None:
    """Depth of the region's own pixels: a wall all around it, at 3 m, is not the region."""
    region = box_at(15.0, 0.0)
    depth = depth_with(region, 15.0)
    inside = region_points(region, VIEW, depth)
    around = np.full(SHAPE, 3.0, np.float32)
    mask = depth != ground_depth()
    around[mask] = depth[mask]
    assert np.array_equal(region_points(region, VIEW, around), inside)
    assert placed(region, around).range_m == pytest.approx(15.0, rel=0.02)


def test_what_shines_through_does_not_count() -> None:
    """A third of the region's pixels show what is 20 m behind it, a fifth are nearer by a mistake."""
    region = box_at(12.0, 0.0)
    depth = depth_with(region, 12.0)
    mask = np.argwhere(depth != ground_depth())
    rng = np.random.default_rng(0)
    rng.shuffle(mask)
    behind, before = mask[: len(mask) // 3], mask[-len(mask) // 5 :]
    depth[tuple(behind.T)] += 20
    depth[tuple(before.T)] = 4
    found = placed(region, depth)
    assert found.range_m == pytest.approx(12.0, rel=0.03)
    assert span(found, 0)[1] < 13


def test_a_footprint_is_no_deeper_than_the_thing_is_wide() -> None:
    """A blurred edge: over a face at 15 m depth runs on, without a jump, to what is 12 m behind."""
    region = box_at(15.0, 0.0)
    depth = depth_with(region, 15.0)
    rows = np.flatnonzero((depth != ground_depth()).any(axis=1))
    for step, row in enumerate(rows[: len(rows) // 2][::-1]):
        columns = np.flatnonzero(depth[row] != ground_depth()[row])
        depth[row, columns] += 12 * step / (len(rows) // 2)
    found = placed(region, depth)
    near, far = span(found, 0)
    assert near == pytest.approx(15.0, abs=0.5)
    assert far < 17.6


def test_too_few_pixels_say_nothing() -> None:
    region = box_at(15.0, 0.0)
    depth = depth_with(region, 7.0)
    mask = depth != ground_depth()
    depth[mask] = 0  # not measured
    assert len(region_points(region, VIEW, depth)) == 0
    assert placed(region, depth).source is RangeSource.GROUND
    tiny = replace(region, outline_px=region.outline_px[:1])
    assert len(region_points(tiny, VIEW, ground_depth())) < MIN_PIXELS
    assert placed(replace(region, outline_px=np.zeros((0, 2))), depth).footprint_xy_m  # by its box


def test_metric_depth_follows_the_lens() -> None:
    depth = np.array([[2.0, 4.0]], np.float32)
    found = metric_depth(depth, 340.0, 170.0)
    assert found.dtype == np.float32
    assert found.tolist() == [[4.0, 8.0]]


@pytest.mark.parametrize("yaw_deg", [90.0, 180.0, -135.0])
def test_any_heading(yaw_deg: float) -> None:
    """The same thing seen by a turned camera lies in the turned place, with no seam behind the vehicle."""
    region = box_at(12.0, 0.5)
    depth = depth_with(region, 12.0)
    ahead = placed(region, depth, view_of(replace(MOUNT, ego_from_cam=MountConfig((0, 0, 1.8), pitch_deg=5))))
    turned = view_of(replace(MOUNT, ego_from_cam=MountConfig((0, 0, 1.8), yaw_deg=yaw_deg, pitch_deg=5)))
    found = placed(region, depth, turned)
    angle = math.radians(yaw_deg)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    assert found.range_m == pytest.approx(ahead.range_m, rel=1e-3)
    np.testing.assert_allclose(found.xyz_ego_m[:2], rotation @ ahead.xyz_ego_m[:2], atol=0.01)
    area = [_area(np.array(p.footprint_xy_m)) for p in (found, ahead)]
    assert area[0] == pytest.approx(area[1], rel=0.05)
    centre = np.mean(found.footprint_xy_m, axis=0)
    np.testing.assert_allclose(centre, rotation @ np.mean(ahead.footprint_xy_m, axis=0), atol=0.1)


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return float(abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1))) / 2)


@pytest.mark.parametrize("count", [1, 2, 3, 17, 400])
def test_percentiles_are_numpy_s(count: int) -> None:
    values = np.sort(np.random.default_rng(count).normal(size=count))
    for percent in (0, 2, 15, 30, 50, 98, 100):
        assert percentile(values, percent) == pytest.approx(np.percentile(values, percent), abs=1e-12)
