"""Seeded builders of small, valid values for tests: no network, no GPU, nothing downloaded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from airside.bank.bank import Calibration, ClassKind, KnownClass, PrototypeBank, SupportCrop
from airside.bank.search import MANY_PICTURES
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import Manifest, file_sha256, write_manifest
from airside.engine.engine import Engine
from airside.engine.parity import StoredOutputs, measured_for, save_outputs
from airside.enrolment.enrol import object_tokens
from airside.enrolment.foreground import Background
from airside.enrolment.learn import learn_class
from airside.enrolment.support import SupportImage, kept_crop, mask_from_box
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import BevView, bev_view
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam

TINY_BEV = BevSpec(BevGrid(30, 20, 2.0), DepthBins((2.0, 4.0, 8.0, 16.0, 32.0)), (-5.0, 10.0), ("vehicles", "drivable"))


def unit_rows(rng: np.random.Generator, rows: int, channels: int) -> np.ndarray:
    """[rows, channels] float32, every row of length 1."""
    vectors = rng.normal(size=(rows, channels))
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def support_crop(rng: np.random.Generator, side_px: int = 12) -> SupportCrop:
    """A crop of noise that really decodes."""
    _, jpeg = cv2.imencode(".jpg", rng.integers(0, 256, (side_px, side_px, 3), np.uint8))
    _, mask = cv2.imencode(".png", np.full((side_px, side_px), 255, np.uint8))
    return SupportCrop(jpeg.tobytes(), mask.tobytes(), rng.bytes(32).hex())


def tiny_class(
    rng: np.random.Generator,
    name: str,
    *,
    channels: int = 8,
    prototypes: int = 3,
    held_out: int = 5,
    crops: int = 2,
    kind: ClassKind = ClassKind.THING,
    protected: bool = False,
    pictures: int = 30,
) -> KnownClass:
    return KnownClass(
        name=name,
        kind=kind,
        protected=protected,
        prototypes=unit_rows(rng, prototypes, channels),
        mean=unit_rows(rng, 1, channels)[0],
        held_out_similarity=np.sort(rng.uniform(-1, 1, held_out)).astype(np.float32),
        support=tuple(support_crop(rng) for _ in range(crops)),
        pictures=pictures,
    )


def tiny_bank(
    rng: np.random.Generator,
    classes: int = 3,
    channels: int = 8,
    *,
    prototypes: int = 3,
    crops: int = 2,
    guards: int = 2,
    fingerprint: str = "f" * 64,
) -> PrototypeBank:
    """Classes ``class0`` (stuff), ``class1`` (protected thing), ``class2``, ...; one method calibrated, one not."""
    return PrototypeBank(
        model_fingerprint=fingerprint,
        classes=tuple(
            tiny_class(
                rng,
                f"class{i}",
                channels=channels,
                prototypes=prototypes,
                crops=crops,
                kind=ClassKind.STUFF if i == 0 else ClassKind.THING,
                protected=i == 1,
            )
            for i in range(classes)
        ),
        calibrations=(Calibration("default.2", 0.75, 0.01, 200), Calibration("prowl", math.nan, math.nan, 0)),
        guard_tokens=unit_rows(rng, guards, channels),
        guard_names=tuple(f"guard{i}" for i in range(guards)),
    )


def apron_like_picture(
    rng: np.random.Generator, *, size: tuple[int, int] = (196, 112), colour: tuple[int, int, int] | None = (200, 40, 30)
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Sky over tarmac with a box of ``colour`` standing on it: [H, W, 3] uint8 RGB, and the box x0, y0, x1, y1.

    ``colour`` ``None`` leaves the apron empty; the box then says where nothing stands.
    """
    width, height = size
    image = np.empty((height, width, 3), np.float64)
    image[: height // 3] = (130, 175, 225)
    image[height // 3 :] = (110, 108, 104)
    box_w, box_h = width // 4, height // 3
    x0 = int(rng.integers(width // 8, width - box_w - width // 8))
    y0 = int(rng.integers(height // 3, height - box_h - height // 10))
    if colour is not None:
        image[y0 : y0 + box_h, x0 : x0 + box_w] = colour
    image += rng.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), (x0, y0, x0 + box_w, y0 + box_h)


def tiny_rig(cameras: int = 1) -> NetworkRig:
    """Cameras at :func:`tiny_bundle`'s size, 1.8 m up, the first one looking ahead."""
    camera = PinholeCamera(fx=49.0, fy=49.0, cx=48.5, cy=27.5, width=98, height=56)
    poses = [
        ego_from_mounted_cam((1.0, 0.0, 1.8), yaw_deg=360 * n / cameras, pitch_deg=5, roll_deg=0)
        for n in range(cameras)
    ]
    return NetworkRig([camera] * cameras, poses, 14)


def tiny_view(cameras: int = 1) -> BevView:
    return bev_view(tiny_rig(cameras), TINY_BEV.grid, TINY_BEV.bins, TINY_BEV.height_range_m)


def tiny_bundle(path: Path, seed: int = 0, *, depth: bool = False, bev: bool = False) -> Path:
    """A sealed model bundle of 56 x 98 px whose eight-channel tokens are each patch's mean colour, randomly mixed.

    ``depth``: [N, 8, 14], 4 m where black to 44 m where white, seen through 98 px. ``bev``: :data:`TINY_BEV`, what is
    ``drivable`` half of ``vehicles``.
    """
    rng = np.random.default_rng(seed)
    path.mkdir(parents=True)
    network = _tiny_network(rng, depth=depth)
    (path / "model.onnx").write_bytes(network)
    images: np.ndarray = rng.integers(0, 256, (2, 56, 98, 3), np.uint8)
    names = ["tokens", "depth"] if depth else ["tokens"]
    outputs = _run(network, names, {"images": images})
    view = None
    if bev:
        view, head = tiny_view(2), _tiny_bev_network(rng)
        (path / "bev.onnx").write_bytes(head)
        columns = {"patch": view.table.patch, "depth_bin": view.table.depth_bin, "cell": view.table.cell}
        measured = measured_for(outputs, view)
        inputs = {"tokens": outputs["tokens"], "rays": view.rays, "measured": measured, **columns}
        outputs |= _run(head, ["bev", "depth_probability"], inputs)
    save_outputs(path / "parity.npz", StoredOutputs(images, outputs, view))
    write_manifest(
        path,
        Manifest(
            name=f"tiny-{seed}", height_px=56, width_px=98, patch_px=14, token_width=8, feature="mean colour",
            outputs=(*names, "bev") if bev else tuple(names), position_embedding="none", trained_on="nothing",
            licence="Apache-2.0", network_sha256=file_sha256(path / "model.onnx"),
            parity_sha256=file_sha256(path / "parity.npz"), depth_focal_px=98.0 if depth else None,
            bev=TINY_BEV if bev else None, bev_sha256=file_sha256(path / "bev.onnx") if bev else None,
        ),
    )  # fmt: skip
    return path


def _run(network: bytes, names: list[str], inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, inputs), strict=True))


def _tiny_network(rng: np.random.Generator, *, depth: bool) -> bytes:
    from onnx import TensorProto, helper

    weights = {
        "mean": np.full((1, 3, 1, 1), 118.0, np.float32),
        "mix": rng.normal(0, 1, (8, 3, 1, 1)).astype(np.float32),
        "offset": rng.normal(0, 8, 8).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[14, 14], strides=[14, 14]),
        helper.make_node("Sub", ["pooled", "mean"], ["centred"]),
        helper.make_node("Conv", ["centred", "mix", "offset"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["grid"], perm=[0, 2, 3, 1]),
        helper.make_node("LpNormalization", ["grid"], ["tokens"], axis=-1, p=2),
    ]
    outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 4, 7, 8])]
    if depth:
        weights |= {"metres": np.array(40 / 255, np.float32), "nearest": np.array(4.0, np.float32)}
        nodes += [
            helper.make_node("AveragePool", ["planes"], ["fine"], kernel_shape=[7, 7], strides=[7, 7]),
            helper.make_node("ReduceMean", ["fine"], ["grey"], axes=[1], keepdims=0),
            helper.make_node("Mul", ["grey", "metres"], ["scaled"]),
            helper.make_node("Add", ["scaled", "nearest"], ["depth"]),
        ]
        outputs.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", 8, 14]))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 56, 98, 3])
    return _serialised(nodes, [images], outputs, weights, 17)


def _tiny_bev_network(rng: np.random.Generator) -> bytes:
    """Each patch's depth from token, ray and what was measured; a cell's probability rises with the depth mass that
    lands in it."""
    from onnx import TensorProto, helper

    grid, bins = TINY_BEV.grid, TINY_BEV.bins.count
    weights = {
        "depth_weight": rng.normal(0, 2, (8 + 3, bins)).astype(np.float32),
        "rows": np.array([-1, bins], np.int64),
        "map": np.array([1, *grid.shape], np.int64),
        "last": np.array([1], np.int64),
        "empty": np.zeros(grid.cells, np.float32),
        "one": np.array(1.0, np.float32),
        "layers": np.array([1.0, 0.5], np.float32).reshape(2, 1, 1),
    }
    nodes = [
        helper.make_node("Concat", ["tokens", "rays"], ["features"], axis=-1),
        helper.make_node("MatMul", ["features", "depth_weight"], ["told"]),
        helper.make_node("Transpose", ["measured"], ["of_bins"], perm=[0, 2, 3, 1]),
        helper.make_node("Add", ["told", "of_bins"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["bins"], axis=-1),
        helper.make_node("Transpose", ["bins"], ["depth_probability"], perm=[0, 3, 1, 2]),
        helper.make_node("Reshape", ["bins", "rows"], ["of_patch"]),
        helper.make_node("Unsqueeze", ["patch", "last"], ["patch_column"]),
        helper.make_node("Unsqueeze", ["depth_bin", "last"], ["bin_column"]),
        helper.make_node("Concat", ["patch_column", "bin_column"], ["point"], axis=1),
        helper.make_node("GatherND", ["of_patch", "point"], ["mass"]),
        helper.make_node("ScatterElements", ["empty", "cell", "mass"], ["summed"], reduction="add"),
        helper.make_node("Neg", ["summed"], ["negative"]),
        helper.make_node("Exp", ["negative"], ["missed"]),
        helper.make_node("Sub", ["one", "missed"], ["hit"]),
        helper.make_node("Reshape", ["hit", "map"], ["seen"]),
        helper.make_node("Mul", ["seen", "layers"], ["bev"]),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 4, 7, 8]),
        helper.make_tensor_value_info("rays", TensorProto.FLOAT, ["n", 4, 7, 3]),
        helper.make_tensor_value_info("measured", TensorProto.FLOAT, ["n", bins, 4, 7]),
        *(helper.make_tensor_value_info(name, TensorProto.INT64, ["p"]) for name in ("patch", "depth_bin", "cell")),
    ]
    outputs = [
        helper.make_tensor_value_info("bev", TensorProto.FLOAT, [2, *grid.shape]),
        helper.make_tensor_value_info("depth_probability", TensorProto.FLOAT, ["n", bins, 4, 7]),
    ]
    return _serialised(nodes, inputs, outputs, weights, 18)


def _serialised(nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray], opset: int) -> bytes:
    from onnx import helper, numpy_helper

    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return bytes(model.SerializeToString())


def taught_bank(engine: Engine, seed: int = 0) -> PrototypeBank:
    """What :func:`tiny_bundle` can know: tarmac and sky (stuff), a protected blue person, and a guarded green patch."""
    rng = np.random.default_rng(seed)
    scenes = [apron_like_picture(rng, colour=None)[0] for _ in range(4)]
    people = [apron_like_picture(rng, colour=(20, 30, 160)) for _ in range(4)]
    dangers = [apron_like_picture(rng, colour=(20, 160, 40)) for _ in range(2)]
    no_guard = np.zeros((0, engine.manifest.token_width), np.float32)
    nothing = Background(PrototypeBank(engine.manifest.fingerprint, (), (), no_guard, ()))

    def tokens(pictures: list[SupportImage]) -> list[np.ndarray]:
        return object_tokens(engine, pictures, nothing, boxed=False)[0]

    def boxed(scene: np.ndarray, box: tuple[int, int, int, int]) -> SupportImage:
        return SupportImage("made", scene, mask_from_box(box, (scene.shape[0], scene.shape[1]), "made"))

    def stuff(name: str, top: float, bottom: float) -> KnownClass:
        pictures = [boxed(s, (0, round(top * s.shape[0]), s.shape[1], round(bottom * s.shape[0]))) for s in scenes]
        crops = [kept_crop(p, p.mask) for p in pictures if p.mask is not None]
        return learn_class(name, ClassKind.STUFF, tokens(pictures), crops, prototypes=16)

    shown = [boxed(*p) for p in people]
    crops = [kept_crop(p, p.mask) for p in shown if p.mask is not None]
    person = learn_class("person", ClassKind.THING, tokens(shown), crops, protected=True, prototypes=16)
    person = replace(person, pictures=MANY_PICTURES)  # settled
    guard = np.concatenate(tokens([boxed(*d) for d in dangers]))
    return PrototypeBank(
        model_fingerprint=engine.manifest.fingerprint,
        classes=(stuff("tarmac", 0.34, 1.0), stuff("sky", 0.0, 0.33), person),
        calibrations=(Calibration("default.2", 0.008, 0.01, 200),),
        guard_tokens=guard,
        guard_names=("debris",) * len(guard),
    )
