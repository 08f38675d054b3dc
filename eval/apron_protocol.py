"""The apron benchmark's frames: fixed seeds, fixed shares, every world apart from training, bank and calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from training.apron.families import UNKNOWN
from training.apron.frames import SEED_CLEAN, SEED_FEW_SHOT, SEED_TEST, WorldPlan
from training.rig_frames import RigPlan

SEED_DEV = 8_000_000
SEED_CORRUPTION = 9_000_000
SEED_BEV = 10_000_000  # rigs looked at from above
SEED_BEV_DEV = 11_000_000  # the same, for priors and thresholds
FRAMES_PER_WORLD = 12
UNKNOWN_SHARE = (0.005, 0.12)  # of one frame's pixels; the mean over the set is printed and must lie in MEAN_SHARE
MEAN_SHARE = (0.02, 0.06)
FEW_SHOT_TYPES = (
    "baggage_robot", "cable_reel", "forklift", "hand_cart", "mobile_crane_hoist", "oil_drum", "portable_generator",
    "scissor_lift",
)  # fmt: skip
FEW_SHOT_IMAGES = 5
FEW_SHOT_SUPPORT_WORLDS = 1000  # worlds from here on are those of the support pictures


@dataclass(frozen=True, slots=True)
class Protocol:
    """How many frames of which kind."""

    frames: int = 300
    clean_frames: int = 1008
    few_shot_frames: int = 16  # appearances of each registered type

    def test_plans(self) -> list[WorldPlan]:
        """Frames with unknown objects among known ones; every world draws new objects of all unknown types."""
        worlds = -(-self.frames // FRAMES_PER_WORLD)
        return [
            WorldPlan(
                SEED_TEST,
                k,
                min(FRAMES_PER_WORLD, self.frames - k * FRAMES_PER_WORLD),
                unknown=tuple(UNKNOWN),
                known_count=(3, 8),
                unknown_count=(1, 3),
                unknown_share=UNKNOWN_SHARE,
            )
            for k in range(worlds)
        ]

    def clean_plans(self) -> list[WorldPlan]:
        """Frames with nothing unknown."""
        worlds = -(-self.clean_frames // FRAMES_PER_WORLD)
        return [
            WorldPlan(SEED_CLEAN, k, min(FRAMES_PER_WORLD, self.clean_frames - k * FRAMES_PER_WORLD))
            for k in range(worlds)
        ]

    def support_plans(self) -> list[WorldPlan]:
        """For each registered type one world in which its model is photographed for registration."""
        return [
            WorldPlan(
                SEED_FEW_SHOT,
                FEW_SHOT_SUPPORT_WORLDS + k,
                FEW_SHOT_IMAGES,
                models=(name,),
                known_count=(2, 5),
                unknown_count=(1, 1),
                unknown_patches_high=(5.0, 10.0),
                unknown_share=(0.02, 0.4),
            )
            for k, name in enumerate(FEW_SHOT_TYPES)
        ]

    def appearance_plans(self) -> list[WorldPlan]:
        """Frames in which the registered models appear again, in other worlds."""
        return [
            WorldPlan(
                SEED_FEW_SHOT,
                k,
                self.few_shot_frames,
                models=(name,),
                known_count=(3, 8),
                unknown_count=(1, 1),
                unknown_share=UNKNOWN_SHARE,
            )
            for k, name in enumerate(FEW_SHOT_TYPES)
        ]


def dev_plans() -> list[WorldPlan]:
    """Worlds on which constants may be chosen; drawn like the test's, from a seed of their own."""
    return [replace(plan, seed=SEED_DEV) for plan in Protocol(frames=240).test_plans()]


def dev_clean_plans() -> list[WorldPlan]:
    """Clean worlds for the same use."""
    return [replace(plan, seed=SEED_DEV + 1) for plan in Protocol(clean_frames=360).clean_plans()]


BEV_SAMPLES, BEV_DEV_SAMPLES = 100, 60
BEV_POSES = 4  # of the vehicle in one world
RIG = Path(__file__).parent.parent / "configs" / "rigs" / "apron6.yaml"


def bev_plans(samples: int = BEV_SAMPLES, *, seed: int = SEED_BEV) -> list[RigPlan]:
    """Stops of a vehicle with all its cameras, in all conditions, among known vehicles and a few unknown objects."""
    return [
        RigPlan(
            seed,
            world,
            min(BEV_POSES, samples - world * BEV_POSES),
            unknown=tuple(UNKNOWN),
            unknown_count=(0, 3),
        )
        for world in range(-(-samples // BEV_POSES))
    ]


def bev_dev_plans(samples: int = BEV_DEV_SAMPLES) -> list[RigPlan]:
    """Drawn alike, for whatever is chosen by looking at the truth: priors and thresholds."""
    return bev_plans(samples, seed=SEED_BEV_DEV)
