"""The vision transformer every branch shares: DINOv2 and DINOv3 through timm, at one fixed input size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download
from timm.models import PretrainedCfg
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from airside.errors import InputError, UsageError
from airside.model.attention import attention_keys
from airside.model.features import FeatureKind, FeatureSpec
from airside.model.layouts import read_weights, timm_weights
from airside.model.positions import PositionPolicy

_FAMILIES = ("dinov2", "dinov3")


class Backbone(nn.Module):
    """A timm transformer whose patch tokens are the product.

    ``image_size``: (H, W) in pixels, the one size it takes; ``grid``: (Hp, Wp); ``width``: C; ``depth``: number of
    blocks; ``mean``, ``std``: what to take from and divide RGB in [0, 1] by before it comes in;
    ``position_embedding``: how the positions came to this grid, for the bundle manifest.
    """

    def __init__(self, name: str, network: VisionTransformer | Eva, policy: PositionPolicy) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.position_embedding = policy.value
        self.width: int = network.embed_dim
        self.depth = len(network.blocks)
        self.patch_px: int = network.patch_embed.patch_size[0]
        self.grid: tuple[int, int] = tuple(network.patch_embed.grid_size)
        self.image_size: tuple[int, int] = tuple(network.patch_embed.img_size)
        card = _card(name)
        self.mean = (card.mean[0], card.mean[1], card.mean[2])
        self.std = (card.std[0], card.std[1], card.std[2])

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] float32 normalised -> last patch tokens after the final norm [B, Hp, Wp, C]."""
        return self.features(images, FeatureSpec())

    def intermediate(self, images: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """Patch tokens after each of ``blocks`` (0-based), final norm applied, each [B, Hp, Wp, C]."""
        return self._walk(images, blocks, keys=False)[0]

    def features(self, images: Tensor, spec: FeatureSpec) -> Tensor:
        """[B, 3, H, W] float32 normalised -> the chosen feature of each patch [B, Hp, Wp, C, or C times the blocks]."""
        return self.features_and_intermediate(images, spec, ())[0]

    def features_and_intermediate(
        self, images: Tensor, spec: FeatureSpec, blocks: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """:meth:`features` and :meth:`intermediate` of ONE pass."""
        own = {FeatureKind.LAST: (self.depth - 1,), FeatureKind.BLOCKS: spec.blocks, FeatureKind.KEYS: ()}[spec.kind]
        tokens, keys = self._walk(images, [*own, *blocks], keys=spec.kind is FeatureKind.KEYS)
        feature = torch.cat(tokens[: len(own)], dim=-1) if keys is None else keys
        return feature, tokens[len(own) :]

    def _walk(self, images: Tensor, blocks: Sequence[int], *, keys: bool) -> tuple[list[Tensor], Tensor | None]:
        self._check(images, blocks)
        last = self.depth - 1
        needed = max([block + 1 for block in blocks] + ([last] if keys else [0]))
        after: dict[int, Tensor] = {}
        found = None
        for block, before in enumerate(self._between_blocks(images)):
            if block - 1 in blocks:
                after[block - 1] = self._patches(self.network.norm(before))
            if keys and block == last:
                found = self._patches(attention_keys(self.network.blocks[last], before))
            if block == needed:
                break
        return [after[block] for block in blocks], found

    def _between_blocks(self, images: Tensor) -> Iterator[Tensor]:
        """All tokens [B, T, C] before the first block, between any two, and after the last."""
        net = self.network
        x, rope = net._pos_embed(net.patch_embed(images)), None
        if isinstance(net, Eva):
            x, rope = x
        x = net.norm_pre(x)
        yield x
        for block in net.blocks:
            x = block(x, rope=rope) if isinstance(net, Eva) else block(x)
            yield x

    def _patches(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.network.num_prefix_tokens :].reshape(-1, *self.grid, tokens.shape[-1])

    def _check(self, images: Tensor, blocks: Sequence[int]) -> None:
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, *self.image_size):
            height, width = self.image_size
            raise UsageError(
                f"{self.name} was built for images [B, 3, {height}, {width}], got {list(images.shape)}; "
                "resize them, or build it with another image_size"
            )
        wrong = [block for block in blocks if not 0 <= block < self.depth]
        if wrong:
            raise UsageError(f"{self.name} has blocks 0 to {self.depth - 1}, got {wrong}")


def load_backbone(
    name: str, *, weights: Path | None = None, image_size: tuple[int, int] | None = None, **architecture: Any
) -> Backbone:
    """A backbone with trained weights, in evaluation mode.

    ``name``: timm's, e.g. ``vit_base_patch14_reg4_dinov2``; see :func:`backbone_names`. ``weights``: a safetensors
    file in Meta's, timm's or Hugging Face's layout; ``None`` fetches timm's from the Hugging Face hub.
    ``image_size``: (H, W) in pixels, multiples of the patch; ``None``: the size it was trained at. ``architecture``:
    timm's own arguments where they differ from the named architecture's (a smaller network of the same make).

    Raises:
        UsageError: unknown name, impossible size.
        InputError: no such file, a pickle, or nothing to fetch the weights from; the message says how to bring them.
        MismatchError: the weights are another network's. CorruptError: they are damaged.
    """
    network = _build(name, image_size, architecture)
    path = _fetch(name) if weights is None else weights
    return _filled(name, network, read_weights(path), str(path))


def backbone_from_tensors(
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    origin: str,
    image_size: tuple[int, int] | None = None,
    **architecture: Any,
) -> Backbone:
    """:func:`load_backbone` for weights already in memory, in any layout; ``origin`` names them in messages."""
    return _filled(name, _build(name, image_size, architecture), tensors, origin)


def random_backbone(name: str, *, image_size: tuple[int, int] | None = None, **architecture: Any) -> Backbone:
    """The same network untrained, in evaluation mode: for tests, speed measurements and training from nothing."""
    network = _build(name, image_size, architecture)
    policy = PositionPolicy.ROTARY if isinstance(network, Eva) else PositionPolicy.NATIVE
    return Backbone(name, network, policy).eval()


def backbone_names() -> list[str]:
    """The timm names :func:`load_backbone` takes."""
    return [name for family in _FAMILIES for name in timm.list_models(f"vit_*{family}*")]


def _card(name: str) -> PretrainedCfg:
    """What timm knows about the trained network: its files, its input."""
    if name.partition(".")[0] not in backbone_names() or not timm.models.is_model_pretrained(name):
        raise UsageError(f"no backbone {name!r}; wanted one of: {', '.join(backbone_names())}")
    card = timm.get_pretrained_cfg(name)
    assert card is not None
    return card


def _build(name: str, image_size: tuple[int, int] | None, architecture: Mapping[str, Any]) -> VisionTransformer | Eva:
    trained_at = _card(name).input_size[1:]
    options = {"num_classes": 0, "global_pool": "", **architecture}
    if "dinov3" in name:
        options["dynamic_img_size"] = False
    size = image_size if image_size is not None else trained_at
    patch = 14 if "patch14" in name else 16
    if any(not isinstance(side, int) or side < patch or side % patch for side in size):
        raise UsageError(f"{name} takes images whose height and width are multiples of {patch}, got {size}")
    network = timm.create_model(name, pretrained=False, img_size=size, **options)
    assert isinstance(network, VisionTransformer | Eva)
    return network


def _filled(name: str, network: VisionTransformer | Eva, tensors: Mapping[str, Tensor], origin: str) -> Backbone:
    weights, policy = timm_weights(tensors, network, origin=f"{origin} for {name}")
    network.load_state_dict(weights)
    return Backbone(name, network, policy).eval()


def _fetch(name: str) -> Path:
    """timm's safetensors file of the network, from the hub or the hub's local cache."""
    card = _card(name)
    repository, file = str(card.hf_hub_id), "model.safetensors"
    try:
        return Path(hf_hub_download(repository, file))
    except OSError as error:
        ways = [f"https://huggingface.co/{repository}/resolve/main/{file} and pass it as it is (--weights FILE)"]
        if isinstance(card.url, str) and card.url:
            stem = card.url.rpartition("/")[2].removesuffix(".pth")
            ways.append(f"{card.url} and convert it once: airside convert {stem}.pth {stem}.safetensors")
        raise InputError(
            f"the weights of {name} could not be fetched ({type(error).__name__}); on a machine with a network "
            f"download {', or '.join(ways)}"
        ) from error
