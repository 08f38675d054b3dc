"""The recipes of ``training.multitask``: strict YAML to frozen values. Every field is a key; none has a default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from airside.config import checked, load_settings
from airside.errors import UsageError
from airside.geometry.splat_table import DepthBins
from airside.model.dpt import LEVELS
from training.schedule import warm_cosine

ADAPTATIONS = ("frozen", "lora", "full")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BackboneRecipe:
    """``name`` is timm's; the three sizes are its own or those of a smaller network of the same make.

    ``weights``: ``random`` trains from nothing, ``hub`` fetches timm's, anything else is a safetensors file.
    """

    name: str
    embed_dim: int
    depth: int
    num_heads: int
    weights: str


@dataclass(frozen=True, slots=True)
class AdaptationRecipe:
    """What of the backbone learns: nothing (``frozen``), LoRA of ``rank`` on its last ``blocks`` blocks, or everything
    (``full``). ``rate`` is the backbone's learning rate, as a share of the heads'."""

    mode: str
    rank: int
    blocks: int
    rate: float

    def __post_init__(self) -> None:
        _require(self.mode in ADAPTATIONS, f"mode: wanted one of {', '.join(ADAPTATIONS)}, got {self.mode!r}")
        _require(self.rate > 0, f"rate: must be positive, got {self.rate}")
        _require(self.blocks > 0, f"blocks: LoRA sits on at least 1 block, got {self.blocks}")


@dataclass(frozen=True, slots=True)
class Schedule:
    """``batch`` samples a step over all processes together. The rate warms up over ``warmup`` steps, then falls on a
    cosine to 2 %. Gradients are clipped to the norm ``clip``. bfloat16 is used where the machine multiplies in it."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup: int
    clip: float
    seed: int
    report_every: int
    checkpoint_every: int
    mixed_precision: bool

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "learning_rate", "clip", "report_every", "checkpoint_every"):
            _require(getattr(self, name) > 0, f"{name}: must be positive, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup", "seed"):
            _require(getattr(self, name) >= 0, f"{name}: must not be negative, got {getattr(self, name)}")
        _require(
            self.checkpoint_every % self.report_every == 0,
            f"checkpoint_every ({self.checkpoint_every}) must be a multiple of report_every ({self.report_every}): "
            "a resumed training then repeats the rows of its curve",
        )

    def rate_at(self, step: int) -> float:
        """The learning rate of ``step``, counted from 0."""
        return warm_cosine(step, self.steps, self.learning_rate, self.warmup)


@dataclass(frozen=True, slots=True)
class TaskWeights:
    """What each loss counts. The depth and the bird's-eye head are built only where theirs counts."""

    asset: float
    family: float
    depth: float
    bev: float
    bins: float

    def __post_init__(self) -> None:
        weights = asdict(self)
        _require(
            min(weights.values()) >= 0 and max(weights.values()) > 0,
            f"wanted weights of at least 0 and one above it, got {weights}",
        )
        _require(self.bev > 0 or self.bins == 0, "bins: depth bins belong to the bird's-eye head, whose weight is 0")


@dataclass(frozen=True, slots=True)
class TokenRecipe:
    """Patches count by their purity, from ``min_purity`` (a share) on, stuff ``stuff_weight`` times as much as things.
    The asset loss sees every thing and the share ``stuff_share`` of the stuff."""

    min_purity: float
    stuff_weight: float
    stuff_share: float


@dataclass(frozen=True, slots=True)
class DepthRecipe:
    """The DPT decoder (``features``, ``out_channels``) on the tokens of four ``blocks``, 0-based, earliest first.

    It tells depth as if seen through ``focal_px`` and up to ``max_m`` there; truth beyond ``max_m`` teaches nothing.
    """

    blocks: tuple[int, ...]
    features: int
    out_channels: tuple[int, ...]
    max_m: float
    focal_px: float

    def __post_init__(self) -> None:
        for name in ("blocks", "out_channels"):
            _require(len(getattr(self, name)) == LEVELS, f"{name}: wanted {LEVELS} numbers, got {getattr(self, name)}")
        _require(
            self.max_m > 0 and self.focal_px > 0,
            f"max_m and focal_px: must be positive, got {self.max_m} and {self.focal_px}",
        )


@dataclass(frozen=True, slots=True)
class BevRecipe:
    """Lift-Splat: ``bins`` depth bins of equal size over ``depth_range_m``; ``positive`` is what a covered cell of each
    layer counts, in the order of the data's layers. The grid is the data's."""

    channels: int
    depth_range_m: tuple[float, float]
    bins: int
    positive: tuple[float, ...]

    def __post_init__(self) -> None:
        _require(self.bins > 0, f"bins: must be positive, got {self.bins}")
        _require(min(self.positive, default=0) > 0, f"positive: wanted positive weights, got {list(self.positive)}")
        _ = self.depth_bins

    @property
    def depth_bins(self) -> DepthBins:
        near, far = self.depth_range_m
        return DepthBins(tuple(near + (far - near) * k / self.bins for k in range(self.bins + 1)))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Chances: of a whole sample seen in a mirror, of a picture corrupted (``training.corruptions``), and of a camera
    that delivers nothing. ``light`` draws exposure, colour and blur for every picture."""

    mirror: float
    corrupt: float
    lost: float
    light: bool

    def __post_init__(self) -> None:
        for name in ("mirror", "corrupt", "lost"):
            _require(0 <= getattr(self, name) <= 1, f"{name}: a chance, 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """``configs/training/multitask.yaml``."""

    backbone: BackboneRecipe
    adaptation: AdaptationRecipe
    schedule: Schedule
    weights: TaskWeights
    tokens: TokenRecipe
    depth: DepthRecipe
    bev: BevRecipe
    augmentation: Augmentation


@dataclass(frozen=True, slots=True)
class DistillRecipe:
    """``configs/training/distill.yaml``: a student, and what its two losses count. ``backbone.weights`` starts it."""

    backbone: BackboneRecipe
    schedule: Schedule
    cosine: float
    smooth_l1: float
    augmentation: Augmentation


def load_recipe(kind: type[R], path: Path) -> R:
    """The recipe of ``kind`` in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(kind, path)


def recipe_from(kind: type[R], keys: dict[str, Any]) -> R:
    """The recipe that was ``keys`` (lists for tuples), as a checkpoint holds it."""
    return cast(R, checked(kind, keys, ""))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
