"""nuScenes' own folders: one of generated numbers, whose truth is known, and one made of a real keyframe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from airside.errors import InputError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.transforms import RigidTransform
from training.data.nuscenes import CAMERAS, REFERENCE, NuscenesDataset, NuscenesSample

REAL = Path(__file__).parents[4].parent / "shared" / "data" / "nuscenes_sample"
VERSION = "v1.0-mini"
GRID = BevGrid()
TABLES = (
    "scene", "sample", "sample_data", "calibrated_sensor", "ego_pose", "sensor", "sample_annotation", "instance",
    "category", "map", "log",
)  # fmt: skip
REAL_CATEGORY = {"car": "vehicle.car", "truck": "vehicle.truck", "bus": "vehicle.bus.rigid"}


def quaternion(rotation: np.ndarray) -> list[float]:
    """(w, x, y, z): the eigenvector of Bar-Itzhack's matrix (2000)."""
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(rotation)
    k = np.array([
        [a + e + i, h - f, c - g, d - b],
        [h - f, a - e - i, b + d, c + g],
        [c - g, b + d, e - a - i, f + h],
        [d - b, c + g, f + h, i - a - e],
    ])  # fmt: skip
    return np.linalg.eigh(k)[1][:, -1].tolist()


def turned(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    about_z, about_y, about_x = (
        cv2.Rodrigues(np.array(axis) * angle)[0]
        for axis, angle in (((0, 0, 1.0), yaw), ((0, 1.0, 0), pitch), ((1.0, 0, 0), roll))
    )
    return about_z @ about_y @ about_x


def record(transform: RigidTransform, **more: Any) -> dict[str, Any]:
    return {
        "translation": transform.translation_m.tolist(),
        "rotation": quaternion(transform.rotation),
        **more,
    }


class Maker:
    """Writes tables row by row, in nuScenes' layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def add(self, table: str, token: str, **row: Any) -> str:
        self.tables[table].append({"token": token, **row})
        return token

    def scene(self, name: str, location: str) -> str:
        log = self.add("log", f"log-{name}", location=location, logfile="", vehicle="n1", date_captured="2018")
        return self.add("scene", f"scene-{name}", name=name, log_token=log, nbr_samples=1, description="")

    def sensor(self, channel: str, key: str, ego_from_sensor: RigidTransform, intrinsics: list[list[float]]) -> str:
        if not any(row["channel"] == channel for row in self.tables["sensor"]):
            kind = "camera" if channel in CAMERAS else "lidar"
            self.add("sensor", f"sensor-{channel}", channel=channel, modality=kind)
        return self.add(
            "calibrated_sensor",
            f"calibrated-{channel}-{key}",
            sensor_token=f"sensor-{channel}",
            camera_intrinsic=intrinsics,
            **record(ego_from_sensor),
        )

    def shot(
        self, sample: str, channel: str, calibrated: str, world_from_ego: RigidTransform, time_us: int, size: list[int]
    ) -> None:
        pose = self.add("ego_pose", f"pose-{sample}-{channel}-{time_us}", timestamp=time_us, **record(world_from_ego))
        name = f"samples/{channel}/{sample}__{channel}.{'jpg' if channel in CAMERAS else 'bin'}"
        for key_frame in (True, False):  # what lies between two keyframes is listed in the same table
            self.add(
                "sample_data",
                f"data-{sample}-{channel}-{key_frame}",
                sample_token=sample,
                ego_pose_token=pose,
                calibrated_sensor_token=calibrated,
                timestamp=time_us,
                is_key_frame=key_frame,
                filename=name if key_frame else name.replace("samples", "sweeps"),
                width=size[0],
                height=size[1],
            )
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def box(
        self, sample: str, number: int, category: str, world_from_box: RigidTransform, lwh: list[float], points: int
    ) -> None:
        if not any(row["name"] == category for row in self.tables["category"]):
            self.add("category", f"category-{category}", name=category)
        instance = self.add("instance", f"instance-{sample}-{number}", category_token=f"category-{category}")
        self.add(
            "sample_annotation",
            f"annotation-{sample}-{number}",
            sample_token=sample,
            instance_token=instance,
            size=[lwh[1], lwh[0], lwh[2]],  # nuScenes gives width, length, height
            num_lidar_pts=points,
            **record(world_from_box),
        )

    def write(self) -> Path:
        folder = self.root / VERSION
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            (folder / f"{name}.json").write_text(json.dumps(rows))
        return self.root


LIDAR = RigidTransform(turned(-1.57, 0.01), np.array([0.94, 0.0, 1.84]))
BODY_FROM_OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
YAW = dict(zip(CAMERAS, np.radians((0, 55, -55, 180, 110, -110)), strict=True))
BOXES = (  # category, ego x, y, z, yaw, length, width, height
    ("vehicle.car", 12.0, 3.0, 0.8, 0.3, 4.5, 1.9, 1.6),
    ("vehicle.bus.rigid", -20.0, -8.0, 1.6, 2.0, 11.0, 2.9, 3.2),
    ("human.pedestrian.adult", 5.0, -6.0, 0.9, 0.0, 0.7, 0.7, 1.8),
    ("movable_object.trafficcone", 7.0, 2.0, 0.3, 0.0, 0.4, 0.4, 0.8),
)


def ego_at(second: float) -> RigidTransform:
    """Driving at 10 m/s along a heading of 2.2 rad on a slightly tilted road."""
    heading = np.array([np.cos(2.2), np.sin(2.2), 0.0])
    return RigidTransform(
        turned(2.2 + 0.1 * second, 0.01, -0.02), np.array([411.0, 1180.0, 0.0]) + 10 * second * heading
    )


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Two scenes, the second of two samples; cameras 30 to 80 ms before the lidar."""
    maker = Maker(tmp_path)
    calibrated = {
        channel: maker.sensor(
            channel,
            "a",
            RigidTransform(turned(YAW[channel]) @ BODY_FROM_OPTICAL, np.array([1.5, 0.2, 1.5])),
            [[1266.0 + k, 0, 816.0], [0, 1265.0, 491.0], [0, 0, 1]],
        )
        for k, channel in enumerate(CAMERAS)
    }
    calibrated[REFERENCE] = maker.sensor(REFERENCE, "a", LIDAR, [])
    for name, location, seconds in (
        ("scene-1", "boston-seaport", (0.0,)),
        ("scene-2", "singapore-queenstown", (9.5, 9.0)),
    ):
        scene = maker.scene(name, location)
        for second in seconds:
            sample = maker.add("sample", f"sample-{second}", scene_token=scene, timestamp=int(second * 1e6))
            maker.shot(sample, REFERENCE, calibrated[REFERENCE], ego_at(second), int(second * 1e6), [0, 0])
            for k, channel in enumerate(CAMERAS):
                taken = second - 0.03 - 0.01 * k
                maker.shot(sample, channel, calibrated[channel], ego_at(taken), int(taken * 1e6), [1600, 900])
            for number, (category, x, y, z, yaw, *lwh) in enumerate(BOXES):
                ego_from_box = RigidTransform(turned(yaw), np.array([x, y, z]))
                maker.box(sample, number, category, ego_at(second) @ ego_from_box, lwh, number)
    return maker


def test_samples_come_by_scene_and_time(maker: Maker) -> None:
    dataset = NuscenesDataset(maker.write(), VERSION)
    assert len(dataset) == 3
    assert dataset.scenes == ("scene-1", "scene-2")
    assert [(s.scene, s.location, s.timestamp_us) for s in dataset] == [
        ("scene-1", "boston-seaport", 0),
        ("scene-2", "singapore-queenstown", 9_000_000),
        ("scene-2", "singapore-queenstown", 9_500_000),
    ]
    assert dataset[-1].token == dataset[2].token
    assert [s.timestamp_us for s in NuscenesDataset(maker.root, VERSION, scenes=["scene-2"])] == [9_000_000, 9_500_000]


def test_cameras_lead_into_the_ego_frame_of_the_lidar_s_time(maker: Maker) -> None:
    sample = NuscenesDataset(maker.write(), VERSION)[0]
    assert [camera.channel for camera in sample.cameras] == list(CAMERAS)
    landmark_m = np.array([400.0, 1195.0, 2.0])  # a point of the world, seen by each camera from where it was
    for k, camera in enumerate(sample.cameras):
        assert camera.image == maker.root / f"samples/{camera.channel}/sample-0.0__{camera.channel}.jpg"
        assert (camera.pinhole.fx, camera.pinhole.fy, camera.pinhole.cx, camera.pinhole.cy) == (
            1266 + k,
            1265,
            816,
            491,
        )
        assert (camera.pinhole.width, camera.pinhole.height) == (1600, 900)
        taken = -0.03 - 0.01 * k
        assert camera.timestamp_us == int(taken * 1e6)
        mount = RigidTransform(turned(YAW[camera.channel]) @ BODY_FROM_OPTICAL, np.array([1.5, 0.2, 1.5]))
        in_camera = (ego_at(taken) @ mount).inverse().points(landmark_m)
        np.testing.assert_allclose(
            camera.ego_from_cam.points(in_camera), ego_at(0).inverse().points(landmark_m), atol=1e-9
        )
        moved = np.linalg.norm(camera.ego_from_cam.translation_m - mount.translation_m)
        assert moved == pytest.approx(-10 * taken, rel=0.1)


def test_boxes_are_back_where_they_were_put(maker: Maker) -> None:
    for sample in NuscenesDataset(maker.write(), VERSION):
        assert [box.category for box in sample.boxes] == [box[0] for box in BOXES]
        assert [box.lidar_points for box in sample.boxes] == [0, 1, 2, 3]
        assert [box.is_vehicle for box in sample.boxes] == [True, True, False, False]
        for found, (_, x, y, z, yaw, *lwh) in zip(sample.boxes, BOXES, strict=True):
            np.testing.assert_allclose(found.ego_from_box.translation_m, (x, y, z), atol=1e-9)
            np.testing.assert_allclose(found.ego_from_box.rotation, turned(yaw), atol=1e-9)
            assert [found.length_m, found.width_m, found.height_m] == lwh
            assert found.footprint.yaw_rad == pytest.approx(yaw)


def test_the_vehicle_layer_is_that_of_vehicles_alone(maker: Maker) -> None:
    cells = NuscenesDataset(maker.write(), VERSION)[1].vehicle_cells(GRID)
    assert cells.sum() == pytest.approx((4.5 * 1.9 + 11 * 2.9) / 0.25, rel=0.1)
    for _, x, y, *_ in BOXES[:2]:
        assert cells[*GRID.index_from_xy(np.array([x, y]))]
    for _, x, y, *_ in BOXES[2:]:
        assert not cells[*GRID.index_from_xy(np.array([x, y]))]
    ends = np.array([-20.0, -8.0]) + 5.2 * np.array([[np.cos(2.0), np.sin(2.0)], [-np.cos(2.0), -np.sin(2.0)]])
    assert cells[*GRID.index_from_xy(ends).T].all()  # the bus reaches along its heading


def test_chosen_cameras_come_in_the_order_given(maker: Maker) -> None:
    sample = NuscenesDataset(maker.write(), VERSION, cameras=("CAM_BACK", "CAM_FRONT"))[0]
    assert [camera.channel for camera in sample.cameras] == ["CAM_BACK", "CAM_FRONT"]


def test_an_unknown_version_names_those_there_are(maker: Maker) -> None:
    with pytest.raises(InputError, match=r"no version 'v1.0-trainval' in .*; there: v1.0-mini; .*nuscenes.org"):
        NuscenesDataset(maker.write())
    with pytest.raises(InputError, match="there: none"):
        NuscenesDataset(maker.root / "nowhere", VERSION)


@pytest.mark.parametrize("table", sorted({*TABLES} - {"map"}))
def test_a_missing_table_is_named_with_its_source(maker: Maker, table: str) -> None:
    (maker.write() / VERSION / f"{table}.json").unlink()
    with pytest.raises(InputError, match=rf"the table .*/{table}\.json is missing; download it from .*nuscenes\.org"):
        NuscenesDataset(maker.root, VERSION)


@pytest.mark.parametrize(("text", "message"), [("[{", "cannot be read"), ('{"a": 1}', "not a list of records")])
def test_a_damaged_table_is_named(maker: Maker, text: str, message: str) -> None:
    (maker.write() / VERSION / "ego_pose.json").write_text(text)
    with pytest.raises(InputError, match=rf"ego_pose\.json .*{message}"):
        NuscenesDataset(maker.root, VERSION)


@pytest.mark.parametrize("channel", ["CAM_BACK", REFERENCE])
def test_a_sample_without_a_camera_is_named(maker: Maker, channel: str) -> None:
    lost = f"data-sample-9.0-{channel}-True"
    maker.tables["sample_data"] = [row for row in maker.tables["sample_data"] if row["token"] != lost]
    dataset = NuscenesDataset(maker.write(), VERSION)
    assert dataset[0].scene == "scene-1"
    with pytest.raises(
        InputError, match=rf"sample sample-9\.0 of scene-2 has no keyframe of {channel}, only of .*CAM_"
    ):
        dataset[1]


def test_a_sample_without_any_data_is_named(maker: Maker) -> None:
    maker.tables["sample_data"] = []
    with pytest.raises(InputError, match="only of nothing"):
        NuscenesDataset(maker.write(), VERSION)[0]


def test_a_missing_picture_is_named(maker: Maker) -> None:
    path = maker.write() / "samples/CAM_FRONT/sample-0.0__CAM_FRONT.jpg"
    path.unlink()
    with pytest.raises(InputError, match=rf"the picture {path} is missing; download"):
        NuscenesDataset(maker.root, VERSION)[0]


def test_a_camera_without_intrinsics_is_named(maker: Maker) -> None:
    maker.tables["calibrated_sensor"][2]["camera_intrinsic"] = []
    with pytest.raises(InputError, match="CAM_FRONT_RIGHT has no intrinsics"):
        NuscenesDataset(maker.write(), VERSION)[0]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("sample_data", "ego_pose_token"),
        ("sample_data", "calibrated_sensor_token"),
        ("calibrated_sensor", "sensor_token"),
        ("sample", "scene_token"),
        ("scene", "log_token"),
        ("instance", "category_token"),
        ("sample_annotation", "instance_token"),
    ],
)
def test_a_token_without_its_record_is_named(maker: Maker, table: str, key: str) -> None:
    for row in maker.tables[table]:
        row[key] = "lost"
    with pytest.raises(InputError, match=r"has no record lost"):
        NuscenesDataset(maker.write(), VERSION)[0]


def test_an_unknown_scene_is_refused(maker: Maker) -> None:
    with pytest.raises(UsageError, match="has no scene scene-9; it has scene-1, scene-2"):
        NuscenesDataset(maker.write(), VERSION, scenes=["scene-1", "scene-9"])


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[NuscenesSample, dict[str, Any], np.ndarray]:
    """The real keyframe written in nuScenes' layout, read back; its calibration, and its lidar points."""
    if not REAL.is_dir():
        pytest.skip("../shared/data is absent")
    calibration = json.loads((REAL / "calibration.json").read_text())
    maker = Maker(tmp_path_factory.mktemp("nuscenes"))
    sample = maker.add("sample", "real", scene_token=maker.scene("real", "boston-seaport"), timestamp=1532402927647951)
    world_from_ego = orthonormal(calibration["ego2global"])
    ego_from_lidar = orthonormal(calibration["lidar"]["lidar2ego"])
    lidar = maker.sensor(REFERENCE, "r", ego_from_lidar, [])
    maker.shot(sample, REFERENCE, lidar, world_from_ego, 1532402927647951, [0, 0])
    for channel, camera in calibration["cameras"].items():
        ego_from_cam = orthonormal(camera["cam2ego"])
        # where the vehicle was when the camera fired is in lidar2cam only: camera -> lidar -> ego -> world
        world_from_cam = world_from_ego @ ego_from_lidar @ orthonormal(camera["lidar2cam"]).inverse()
        token = maker.sensor(channel, "r", ego_from_cam, camera["cam2img"])
        world_from_ego_then = world_from_cam @ ego_from_cam.inverse()
        maker.shot(sample, channel, token, world_from_ego_then, int(camera["timestamp"] * 1e6), [1600, 900])
    for number, box in enumerate(json.loads((REAL / "boxes.json").read_text())):
        x, y, z, *lwh, yaw = box["box_lidar_xyz_lwh_yaw"]
        lidar_from_box = RigidTransform(turned(yaw), np.array([x, y, z]))
        category = REAL_CATEGORY.get(box["class"], box["class"])
        maker.box(sample, number, category, world_from_ego @ ego_from_lidar @ lidar_from_box, lwh, box["num_lidar_pts"])
    return NuscenesDataset(maker.write(), VERSION)[0], calibration, np.load(REAL / "lidar_top.npy")[:, :3].astype(float)


def orthonormal(matrix: list[list[float]]) -> RigidTransform:
    """The sample's matrices are float32."""
    values = np.array(matrix)
    u, _, vt = np.linalg.svd(values[:3, :3])
    return RigidTransform(u @ vt, values[:3, 3])


def test_real_lidar_points_lie_in_the_boxes_as_often_as_annotated(
    real: tuple[NuscenesSample, dict[str, Any], np.ndarray],
) -> None:
    sample, calibration, lidar_m = real
    xyz_ego_m = orthonormal(calibration["lidar"]["lidar2ego"]).points(lidar_m)
    assert len(sample.boxes) == 69
    counted = []
    for box in sample.boxes:
        local = np.abs(box.ego_from_box.inverse().points(xyz_ego_m))
        counted.append(int((local <= (box.length_m / 2, box.width_m / 2, box.height_m / 2)).all(axis=1).sum()))
    annotated = np.array([box.lidar_points for box in sample.boxes])
    assert np.corrcoef(counted, annotated)[0, 1] > 0.99
    assert np.abs(np.array(counted) - annotated).sum() < 0.1 * annotated.sum()


def test_real_lidar_points_fall_on_the_same_pixels_through_the_ego_frame(
    real: tuple[NuscenesSample, dict[str, Any], np.ndarray],
) -> None:
    sample, calibration, lidar_m = real
    xyz_ego_m = orthonormal(calibration["lidar"]["lidar2ego"]).points(lidar_m)
    for camera in sample.cameras:
        entry = calibration["cameras"][camera.channel]
        direct = np.array(entry["lidar2cam"])[:3] @ np.insert(lidar_m, 3, 1, axis=1).T
        ahead = direct[2] > 1
        u, v, w = np.array(entry["cam2img"]) @ direct[:, ahead]
        uv = camera.pinhole.uv_from_xyz_cam(camera.ego_from_cam.inverse().points(xyz_ego_m[ahead]))
        inside = (np.abs(u / w - 800) < 800) & (np.abs(v / w - 450) < 450)
        assert inside.sum() > 1000
        np.testing.assert_allclose(uv[inside], np.stack([u / w, v / w], axis=1)[inside], atol=0.05)


def test_real_vehicle_cells_hold_the_vehicles_lidar_points(
    real: tuple[NuscenesSample, dict[str, Any], np.ndarray],
) -> None:
    sample, calibration, lidar_m = real
    cells = sample.vehicle_cells(BevGrid(400, 400, 0.25))
    xyz_ego_m = orthonormal(calibration["lidar"]["lidar2ego"]).points(lidar_m)
    hits = total = 0
    for box in sample.boxes:
        local = np.abs(box.ego_from_box.inverse().points(xyz_ego_m))
        half = np.array([box.length_m, box.width_m, box.height_m]) / 2
        points = xyz_ego_m[(local <= half - (0.25, 0.25, 0)).all(axis=1), :2]
        index = BevGrid(400, 400, 0.25).index_from_xy(points)
        index = index[index[:, 0] >= 0]
        if box.is_vehicle:
            hits, total = hits + int(cells[*index.T].sum()), total + len(index)
    assert total > 50
    assert hits == total
