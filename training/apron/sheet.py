"""A contact sheet of asset families, to look at: ``python -m training.apron.sheet bus cone --out sheet.png``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from training.apron.conditions import PRESETS
from training.apron.families import CLUTTER, KNOWN, SCENERY, UNKNOWN
from training.apron.renderer import Placed, Renderer, View
from training.apron.solids import Asset
from training.apron.world import build_world

FAMILIES = KNOWN | UNKNOWN | CLUTTER | SCENERY
_TILE = (224, 392)


def portrait(asset: Asset, slot: int, yaw_rad: float = 0.6) -> tuple[Placed, View]:
    """The asset on open tarmac, seen three-quarters from the front so that it fills the picture."""
    length, width, height = asset.size_m
    reach = 0.5 * float(np.hypot(length, width)) + 0.3 * height
    fov = np.radians(40)
    distance = max(reach / np.tan(fov / 2) * 1.15, height * 2.6, 1.2)
    eye_z = max(0.45 * height, min(1.9, distance * 0.3)) + 0.04 * distance
    pitch = float(np.arctan2(eye_z - 0.45 * height, distance))
    return (
        Placed(slot, 0.0, -45.0, np.pi + yaw_rad),
        View((-distance, -45.0, eye_z), 0.0, pitch, 0.0, fov, *_TILE),
    )


def contact_sheet(names: list[str], seed: int, draws: int, condition: str) -> np.ndarray:
    """One row per family, ``draws`` random assets each: [rows * 224, draws * 392, 3] uint8 RGB."""
    rows = []
    for row, name in enumerate(names):
        assets = [FAMILIES[name](np.random.default_rng([seed, row, k])) for k in range(draws)]
        world = build_world(assets, np.random.default_rng(seed), scenery=False)  # aircraft are seen from 100 m
        with Renderer(world, *_TILE) as renderer:
            tiles = []
            for slot, asset in enumerate(assets):
                placed, view = portrait(asset, slot, 0.6 if slot % 2 == 0 else 2.4)
                picture = renderer.shoot(view, [placed], PRESETS[condition], np.random.default_rng(slot))
                tile = np.ascontiguousarray(picture.rgb)
                caption = f"{name} {len(asset.body.faces)}"
                cv2.putText(tile, caption, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
                tiles.append(tile)
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="families (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--condition", choices=PRESETS, default="day")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sheet = contact_sheet(args.names or list(FAMILIES), args.seed, args.draws, args.condition)
    cv2.imwrite(str(args.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{args.out}: {sheet.shape[1]}x{sheet.shape[0]}")


if __name__ == "__main__":
    main()
