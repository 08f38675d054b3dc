"""The apron benchmark's frames: fixed seeds, fixed shares, every world apart from training, bank and calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from training.apron.families import UNKNOWN
from training.apron.frames import SEED_CLEAN, SEED_FEW_SHOT, SEED_TEST, WorldPlan

SEED_DEV = 8_000_000
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
