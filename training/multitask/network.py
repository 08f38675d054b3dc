"""The multi-task network: ONE backbone pass, and on its tokens cosine classifiers, a depth decoder and Lift-Splat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from airside.errors import MismatchError, UsageError
from airside.geometry.splat_table import NetworkRig
from airside.model.backbone import Backbone, load_backbone, random_backbone
from airside.model.bev import BevOutput, LiftSplat, depth_probability_from_metric
from airside.model.dpt import DptDecoder
from airside.model.features import FeatureSpec
from airside.model.layouts import read_weights
from training.multitask.batches import Labels
from training.multitask.recipe import AdaptationRecipe, BackboneRecipe, Recipe
from training.network import CosineClassifier

if TYPE_CHECKING:
    from airside.model.lora import Adapter

_GRID = "patch_grid"  # in the metadata of saved weights
_RIGS_KEPT = 64  # splat tables in memory, a few MB each


class Outputs(NamedTuple):
    """Axes: B samples, N cameras, Hp Wp patches, C width, F families."""

    tokens: Tensor  # [B, N, Hp, Wp, C], not of unit length
    asset_cosine: Tensor  # [T, assets] of the patches asked for, in their order
    family_cosine: Tensor  # [B, N, Hp, Wp, F]
    depth_m: Tensor | None  # [B, N, H, W] along the optical axis
    bev: BevOutput | None


class MultiTask(nn.Module):
    """``adapter`` is the LoRA inside ``backbone``, or None. Raises :class:`UsageError` when the backbone and the recipe
    or the data do not fit together."""

    def __init__(self, backbone: Backbone, recipe: Recipe, labels: Labels, rig: NetworkRig) -> None:
        super().__init__()
        if (backbone.image_size, backbone.grid) != (labels.image_size, labels.patch_grid):
            raise UsageError(
                f"{backbone.name} takes pictures of {backbone.image_size} px in {backbone.grid} patches, the data has "
                f"{labels.image_size} px in {labels.patch_grid}"
            )
        self.recipe, self.labels = recipe, labels
        self.adapter = adapt(backbone, recipe.adaptation)
        self.backbone = backbone
        self.assets = CosineClassifier(backbone.width, labels.assets)
        self.families = CosineClassifier(backbone.width, len(labels.families))
        self.depth: DptDecoder | None = None
        self.bev: LiftSplat | None = None
        if recipe.weights.depth > 0:
            d = recipe.depth
            self.depth = DptDecoder(backbone.width, d.features, d.out_channels, d.max_m, backbone.patch_px)
        if recipe.weights.bev > 0:
            self.bev = LiftSplat(
                backbone.width,
                rig,
                grid=labels.grid,
                bins=recipe.bev.depth_bins,
                channels=recipe.bev.channels,
                layers=labels.layers,
            )
        self._heads: dict[NetworkRig, LiftSplat] = {}

    def forward(self, rgb: Tensor, rigs: Sequence[NetworkRig], asked: Tensor) -> Outputs:
        """``rgb`` [B, N, H, W, 3] uint8 seen through ``rigs``, one a sample; ``asked`` [B, N, Hp, Wp] bool: the patches
        whose assets are told."""
        samples, cameras = rgb.shape[:2]
        learns = any(p.requires_grad for p in self.backbone.parameters())
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            last, levels = self.backbone.features_and_intermediate(
                normalised(rgb.flatten(0, 1), self.backbone),
                FeatureSpec(),
                self.recipe.depth.blocks if self.depth is not None else (),
            )
        tokens = last.unflatten(0, (samples, cameras))
        unit = functional.normalize(tokens.float(), dim=-1)
        depth_m = None
        if self.depth is not None:
            focal_px = torch.tensor([[camera.fx for camera in rig.intrinsics] for rig in rigs], device=rgb.device)
            at_one_focal = self.depth(levels).float().unflatten(0, (samples, cameras))
            # A lens k times as long shows a thing k times as far: Metric3D, arXiv 2307.10984, section 3.2.
            depth_m = at_one_focal * (focal_px / self.recipe.depth.focal_px)[:, :, None, None]
        bev = None if self.bev is None else self._lift(tokens, rigs, depth_m)
        return Outputs(tokens, self.assets(unit[asked]), self.families(unit), depth_m, bev)

    def __str__(self) -> str:
        """One line for the log: what learns, and how many parameters that is."""
        own = sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)
        heads = sum(p.numel() for p in self.parameters() if p.requires_grad) - own
        name, mode = self.backbone.name, self.recipe.adaptation.mode
        what = str(self.adapter) if self.adapter is not None else f"{name}, {mode}: {own:,} trainable parameters"
        return f"{what}; heads: {heads:,}"

    def _lift(self, tokens: Tensor, rigs: Sequence[NetworkRig], depth_m: Tensor | None) -> BevOutput:
        """Each sample through the tables of its own rig, by what is told and what is measured, as a bundle does."""
        assert self.bev is not None
        measured = None
        if depth_m is not None:
            measured = depth_probability_from_metric(depth_m.detach(), rigs[0].patch_grid, self.bev.bins)
        groups: dict[NetworkRig, list[int]] = {}
        for sample, rig in enumerate(rigs):
            groups.setdefault(rig, []).append(sample)
        parts = [
            self._head(rig)(tokens[members], measured=None if measured is None else measured[members])
            for rig, members in groups.items()
        ]
        back = torch.tensor([s for members in groups.values() for s in members], device=tokens.device).argsort()
        layers, probability = (torch.cat(column)[back] for column in zip(*parts, strict=True))
        return BevOutput(layers, probability)

    def _head(self, rig: NetworkRig) -> LiftSplat:
        assert self.bev is not None
        if rig not in self._heads:
            if len(self._heads) == _RIGS_KEPT:
                del self._heads[next(iter(self._heads))]
            self._heads[rig] = self.bev.with_rig(rig)
        return self._heads[rig]


def adapt(backbone: Backbone, recipe: AdaptationRecipe) -> Adapter | None:
    """Make the parameters learn that ``recipe`` says, and no others, in place; the adapter where there is one."""
    if recipe.mode == "lora":
        from airside.model.lora import add_lora  # PEFT takes seconds to import, and the other modes do without

        if recipe.blocks > backbone.depth:
            raise UsageError(f"LoRA on the last {recipe.blocks} blocks: {backbone.name} has {backbone.depth}")
        return add_lora(backbone, recipe.rank, range(backbone.depth - recipe.blocks, backbone.depth))
    backbone.requires_grad_(recipe.mode == "full")
    return None


def build_backbone(recipe: BackboneRecipe, image_size: tuple[int, int]) -> Backbone:
    """The recipe's backbone for pictures of ``image_size``; raises as :func:`load_backbone` does.

    A file that :func:`save_backbone` wrote is taken as it is where the patch grid is its own.
    """
    architecture: dict[str, Any] = {
        "embed_dim": recipe.embed_dim,
        "depth": recipe.depth,
        "num_heads": recipe.num_heads,
    }
    # LayerScale starts at 1e-5 in DINOv2, for forty blocks; a small network that learns from nothing starts at 1.
    untrained = random_backbone(recipe.name, image_size=image_size, init_values=1.0, **architecture)
    if recipe.weights == "random":
        return untrained
    weights = None if recipe.weights == "hub" else Path(recipe.weights)
    if weights is None or _saved_grid(weights) != str(untrained.grid):
        return load_backbone(recipe.name, weights=weights, image_size=image_size, **architecture)
    try:
        untrained.network.load_state_dict(read_weights(weights))
    except RuntimeError as error:
        raise MismatchError(
            f"{weights} holds another network than {recipe.name} as the recipe has it: {error}"
        ) from None
    return untrained


def save_backbone(backbone: Backbone, path: Path) -> None:
    """timm's layout in a safetensors file, with the patch grid: without it positions count as those of a square."""
    tensors = {name: value.contiguous().cpu() for name, value in backbone.network.state_dict().items()}
    save_file(tensors, path, {_GRID: str(backbone.grid)})


def _saved_grid(path: Path) -> str | None:
    """Which grid :func:`save_backbone` noted; None where it did not write the file, or there is none."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(_GRID)
    except (OSError, SafetensorError):
        return None


def normalised(rgb: Tensor, backbone: Backbone) -> Tensor:
    """[M, H, W, 3] uint8 -> [M, 3, H, W] float32 as the backbone takes it."""
    mean, std = (torch.tensor(values, device=rgb.device) * 255 for values in (backbone.mean, backbone.std))
    return ((rgb.float() - mean) / std).permute(0, 3, 1, 2)
