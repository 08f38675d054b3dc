"""Seeded builders of small, valid values for tests: no network, no GPU, nothing downloaded."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from airside.bank.bank import Calibration, ClassKind, KnownClass, PrototypeBank, SupportCrop
from airside.engine.bundle import Manifest, file_sha256, write_manifest
from airside.engine.engine import Engine
from airside.enrolment.enrol import object_tokens
from airside.enrolment.foreground import Background
from airside.enrolment.learn import learn_class
from airside.enrolment.support import SupportImage, kept_crop, mask_from_box


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
        calibrations=(Calibration("default", 0.75, 0.01, 200), Calibration("prowl", math.nan, math.nan, 0)),
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


def tiny_bundle(path: Path, seed: int = 0) -> Path:
    """A sealed model bundle of 56 x 98 px whose eight-channel tokens are each patch's mean colour, randomly mixed."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
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
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 56, 98, 3])],
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 4, 7, 8])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images: np.ndarray = rng.integers(0, 256, (2, 56, 98, 3), np.uint8)
    np.savez(path / "parity.npz", images=images, tokens=session.run(["tokens"], {"images": images})[0])
    write_manifest(
        path,
        Manifest(
            name=f"tiny-{seed}", height_px=56, width_px=98, patch_px=14, token_width=8, feature="mean colour",
            outputs=("tokens",), position_embedding="none", trained_on="nothing", licence="Apache-2.0",
            network_sha256=file_sha256(path / "model.onnx"), parity_sha256=file_sha256(path / "parity.npz"),
        ),
    )  # fmt: skip
    return path


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
        return learn_class(name, ClassKind.STUFF, tokens(pictures), crops)

    shown = [boxed(*p) for p in people]
    crops = [kept_crop(p, p.mask) for p in shown if p.mask is not None]
    person = learn_class("person", ClassKind.THING, tokens(shown), crops, protected=True)
    guard = np.concatenate(tokens([boxed(*d) for d in dangers]))
    return PrototypeBank(
        model_fingerprint=engine.manifest.fingerprint,
        classes=(stuff("tarmac", 0.34, 1.0), stuff("sky", 0.0, 0.33), person),
        calibrations=(Calibration("default", 0.28, 0.01, 200),),
        guard_tokens=guard,
        guard_names=("debris",) * len(guard),
    )
