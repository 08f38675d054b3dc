"""The vehicle's graph repeats the network it was folded from, and is refused where TensorRT would refuse it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from timm.models.vision_transformer import LayerScale
from torch import Tensor, nn

from airside.engine.bundle import Manifest, open_bundle
from airside.engine.fused import open_fused
from airside.engine.onnx import OnnxEngine
from airside.errors import CorruptError, MismatchError, UnavailableError, UsageError
from airside.export import TokensGraph, write_bundle
from airside.export_checks import fused_form_attentions, problems
from airside.export_fused import FusedGraph, fused_onnx, write_fused
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam
from airside.model import FeatureSpec, random_backbone
from airside.model.bev import LiftSplat
from airside.model.dpt import DptDecoder
from airside.model.folding import fold_for_export
from airside.model.lora import add_lora, merge_lora

NAME = "vit_small_patch14_reg4_dinov2"
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}


class Deep(nn.Module):
    """Tokens, and a depth of half the picture's size."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        network = random_backbone(NAME, image_size=(28, 56), **TINY)
        for module in network.modules():
            if isinstance(module, LayerScale):
                nn.init.uniform_(module.gamma, 0.5, 1.5)  # 1e-5 would hide the blocks
        self.tokens = TokensGraph(network, FeatureSpec())
        self.depth = DptDecoder(32, 8, (8, 8, 8, 8), 80.0, 7)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.tokens(images)
        return tokens, self.depth([tokens] * 4)


def rig(cameras: int) -> NetworkRig:
    camera = PinholeCamera(fx=28.0, fy=28.0, cx=27.5, cy=13.5, width=56, height=28)
    poses = [ego_from_mounted_cam((0.0, 0.0, 2.0), yaw_deg=90.0 * n, pitch_deg=10, roll_deg=0) for n in range(cameras)]
    return NetworkRig([camera] * cameras, poses, 14)


def head(cameras: int = 1) -> LiftSplat:
    torch.manual_seed(1)
    bins = DepthBins((2.0, 3.0, 5.0, 9.0))
    return LiftSplat(32, rig(cameras), grid=BevGrid(16, 16, 1.0), bins=bins, channels=8).eval()


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 28, 56, 3), np.uint8)


def ran(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {"images": images})
    return found


def graph(cameras: int, precision: str = "float32") -> FusedGraph:
    return FusedGraph(Deep().eval(), head(), rig(cameras), depth_focal_px=98.0, precision=precision)  # type: ignore[arg-type]


@pytest.mark.parametrize(("cameras", "precision", "tolerance"), [(1, "float32", 1e-4), (3, "float16", 0.02)])
def test_folded_fused_and_baked_it_is_the_same_network(cameras: int, precision: str, tolerance: float) -> None:
    images, network = pictures(cameras), Deep().eval()
    model = fused_onnx(graph(cameras, precision))
    assert (problems(model), fused_form_attentions(model)) == ([], 2)
    with torch.no_grad():
        tokens, depth = network(torch.from_numpy(images))
        seen = head().with_rig(rig(cameras))(tokens[None])
    assert seen.depth_probability is not None
    wanted = [tokens, depth, seen.layers[0].sigmoid(), seen.depth_probability[0]]
    for came, value in zip(ran(model, images), wanted, strict=True):
        assert came.dtype == np.float32
        np.testing.assert_allclose(came, value, atol=tolerance * float(value.abs().max()))
    assert np.abs(ran(model, 255 - images)[0] - tokens.numpy()).max() > 0.01


def test_weights_are_half_and_pixels_are_not() -> None:
    model = fused_onnx(graph(1, "float16"))
    types = {tensor.data_type for tensor in model.graph.initializer if tensor.dims and np.prod(tensor.dims) > 500}
    assert TensorProto.FLOAT16 in types
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    (weight,) = [t for t in model.graph.initializer if t.name == convolution.input[1]]
    assert weight.data_type == TensorProto.FLOAT


def test_folding_leaves_the_original_alone_and_happens_once() -> None:
    network = random_backbone(NAME, image_size=(28, 56), **TINY)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    FusedGraph(TokensGraph(network, FeatureSpec()), None, rig(1), depth_focal_px=None, precision="float32")
    assert all((network.state_dict()[key] == value).all() for key, value in before.items())
    fold_for_export(network.network)
    with pytest.raises(UsageError, match="folded already"):
        fold_for_export(network.network)


def test_adapters_must_be_merged() -> None:
    network = random_backbone(NAME, image_size=(28, 56), **TINY)
    adapter = add_lora(network, rank=2)
    with pytest.raises(UsageError, match="merge_lora"):
        fold_for_export(network.network)
    fold_for_export(merge_lora(adapter).network)


def test_rotary_positions_are_refused() -> None:
    with pytest.raises(UsageError, match="DINOv2"):
        fold_for_export(nn.Linear(2, 2))


def _model(nodes: list, shape: list, **constants: np.ndarray) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_model(helper.make_graph(nodes, "made", inputs, outputs, weights))


def _scatter(reduction: str) -> onnx.ModelProto:
    node = helper.make_node("ScatterND", ["x", "where", "x"], ["y"], reduction=reduction)
    return _model([node], [2, 2], where=np.zeros((2, 1), np.int64))


def _resize(of: str) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Resize", [of, "", "scales"], ["big"], mode="cubic"),
        helper.make_node("Add", ["x", "big"], ["y"]),
    ]
    return _model(nodes, [1, 1, 2, 2], scales=np.ones(4, np.float32), positions=np.ones((1, 1, 2, 2), np.float32))


def _norm_taken_apart() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["variance"]),
        helper.make_node("Add", ["variance", "epsilon"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["deviation"]),
        helper.make_node("Div", ["x", "deviation"], ["y"]),
    ]
    return _model(nodes, [2, 2], epsilon=np.array(1e-5, np.float32))


def _attention(*between: str, scaled: bool = False) -> onnx.ModelProto:
    nodes = [helper.make_node("Mul", ["x", "scale"], ["q"])] if scaled else []
    nodes.append(helper.make_node("MatMul", ["q" if scaled else "x", "x"], ["s0"]))
    for k, op in enumerate(between):
        nodes.append(helper.make_node(op, [f"s{k}", "scale"], [f"s{k + 1}"]))
    nodes.append(helper.make_node("Softmax", [f"s{len(between)}"], ["p"]))
    nodes.append(helper.make_node("MatMul", ["p", "x"], ["y"]))
    return _model(nodes, [2, 2], scale=np.array(0.5, np.float32))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: _scatter("add"), "reduces by add"),
        (lambda: _scatter("none"), ""),
        (lambda: _resize("positions"), "works on a constant"),
        (lambda: _resize("x"), ""),
        (_norm_taken_apart, "LayerNorm taken apart"),
        (lambda: _model([helper.make_node("Relu", ["x"], ["y"])], ["n", 2]), "an axis without a size"),
        (lambda: _attention("Mul"), "has Mul before its Softmax"),
        (lambda: _attention("Add"), "has Add before its Softmax"),
        (lambda: _attention(scaled=True), "scales query or key by itself"),
        (_attention, ""),
    ],
)
def test_checks(make: Callable[[], onnx.ModelProto], words: str) -> None:
    found = "; ".join(problems(make()))
    assert (words in found) if words else not found
    assert fused_form_attentions(_attention()) == 1
    assert fused_form_attentions(_attention("Mul")) == 0


def test_what_tensorrt_would_refuse_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = graph(1)
    fused.bev = head()  # sums with a Scatter, or with embedding bags
    fused.bev.path = "reference"
    fused.bev.use_rig(rig(1))
    with pytest.raises(MismatchError, match="splat by the bucketed path"):
        fused_onnx(fused)


MANIFEST = Manifest(
    "deep", 28, 56, 14, 32, "last", ("tokens", "depth"), "native", "nothing", "none", "", "", depth_focal_px=98.0
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vehicle") / "bundle"
    write_bundle(Deep(), path, MANIFEST, head())
    write_fused(graph(3, "float16"), path)
    return path


def test_a_graph_beside_its_bundle(bundle: Path) -> None:
    fused, engine = open_fused(open_bundle(bundle)), OnnxEngine(open_bundle(bundle), 1)
    assert (fused.cameras, fused.attentions) == (3, 2)
    assert fused.stored.view is not None
    np.testing.assert_array_equal(fused.stored.outputs["tokens"], engine.outputs(fused.stored.images).tokens)
    wanted = engine.bev(fused.stored.outputs["tokens"], fused.stored.view)
    np.testing.assert_allclose(fused.stored.outputs["bev"], wanted.layers, atol=1e-6)
    with pytest.raises(UsageError, match="exists"):
        write_fused(graph(3, "float16"), bundle)


def test_a_graph_of_other_weights_is_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / "fused")
    with pytest.raises(UnavailableError, match="no graph for a vehicle"):
        open_fused(open_bundle(tmp_path / "bundle"))
    other = FusedGraph(Deep(seed=7).eval(), head(), rig(3), depth_focal_px=98.0, precision="float16")
    with pytest.raises(MismatchError, match="tokens is not the bundle's"):
        write_fused(other, tmp_path / "bundle")
    shallow = FusedGraph(Deep().tokens, None, rig(3), depth_focal_px=None, precision="float16")
    with pytest.raises(MismatchError, match="the graph gives tokens, the bundle tokens, depth, bev"):
        write_fused(shallow, tmp_path / "bundle")
    assert sorted(p.name for p in (tmp_path / "bundle").iterdir()) == sorted(
        p.name for p in bundle.iterdir() if p.name != "fused"
    )


def test_a_graph_of_another_bundle_or_damaged(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    opened = open_bundle(tmp_path / "bundle")
    with pytest.raises(MismatchError, match="was made for bundle"):
        open_fused(replace(opened, manifest=replace(opened.manifest, fingerprint="f" * 64)))
    file = tmp_path / "bundle" / "fused" / "fused.onnx"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CorruptError, match="not the one that was sealed"):
        open_fused(opened)
    (file.parent / "fused.json").write_text("{}")
    with pytest.raises(CorruptError, match="cannot be read"):
        open_fused(opened)
