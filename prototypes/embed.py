"""Make what the wheel carries, airside-mini: ``python -m prototypes embed --checkpoint FILE``.

Exports the model, builds and calibrates its bank, renders the demo's drive and its five support pictures.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import yaml

from prototypes.build import Report, build_apron
from training.apron.drives import DEMO, Drive, drive_frames
from training.apron.frames import SEED_DEMO, LabelledFrame, WorldPlan, frames_of
from training.export_mini import export, load_network

ASSETS = Path(__file__).parent.parent / "airside" / "assets" / "airside-mini"
DEMO_HEIGHT_PX, DEMO_WIDTH_PX = 448, 784
SUPPORT_IMAGES = 5
PATCH_PX = 28  # 14 px at network size, half of the demo's
JPEG_QUALITY = 88


def embed(checkpoint: Path, report: Report, out: Path = ASSETS, cache: Path | None = None) -> None:
    """Write ``out``/model, ``out``/bank and ``out``/demo anew."""
    network = load_network(checkpoint)  # before anything is deleted for it
    for part in ("model", "bank", "demo"):
        shutil.rmtree(out / part, ignore_errors=True)
    export(network, out / "model")
    build_apron(out / "model", out / "bank", report, cache=cache)
    embed_demo(DEMO, out / "demo", report)


def embed_demo(drive: Drive, out: Path, report: Report) -> None:
    """Render the drive and the support pictures, and write down what they show."""
    (out / "drive").mkdir(parents=True)
    (out / "support").mkdir()
    unknown, other = drive.unknown
    truth = []
    for tick, frame in enumerate(drive_frames(drive, DEMO_HEIGHT_PX, DEMO_WIDTH_PX)):
        _write_jpeg(out / "drive" / f"{tick:03d}.jpg", frame.rgb)
        truth.append(
            [
                {"type": name, "box_px": _box(frame, name), "patches": round(_pixels(frame, name) / PATCH_PX**2, 2)}
                for name in (unknown, other)
                if _pixels(frame, name) >= PATCH_PX**2
            ]
        )
    plan = WorldPlan(
        SEED_DEMO,
        1,
        SUPPORT_IMAGES,
        models=(unknown,),
        known_count=(2, 5),
        unknown_count=(1, 1),
        unknown_patches_high=(4.0, 9.0),
        unknown_share=(0.03, 0.4),
    )
    support = []
    for k, frame in enumerate(frames_of(plan)):
        _write_jpeg(out / "support" / f"{unknown}_{k + 1}.jpg", frame.rgb)
        support.append({"file": f"{unknown}_{k + 1}.jpg", "box_px": _box(frame, unknown)})
    (out / "rig.yaml").write_text(rig_text(drive))
    script = {"unknown_type": unknown, "other_type": other, "support": support, "truth": truth}
    (out / "script.json").write_text(json.dumps(script) + "\n")


def rig_text(drive: Drive) -> str:
    """The rig file of the drive's one camera."""
    focal = DEMO_WIDTH_PX / 2 / float(np.tan(drive.horizontal_fov_rad / 2))
    camera = {
        "name": "front",
        "width": DEMO_WIDTH_PX,
        "height": DEMO_HEIGHT_PX,
        "fx": round(focal, 3),
        "fy": round(focal, 3),
        "cx": (DEMO_WIDTH_PX - 1) / 2,
        "cy": (DEMO_HEIGHT_PX - 1) / 2,
        "ego_from_cam": {
            "xyz_m": [0.0, 0.0, drive.camera_height_m],
            "pitch_deg": round(float(np.degrees(drive.pitch_rad)), 3),
        },
        "max_range_m": 60.0,
    }
    return yaml.safe_dump({"cameras": [camera]}, sort_keys=False)


def _pixels(frame: LabelledFrame, name: str) -> int:
    return int((frame.label == frame.names.index(name)).sum())


def _box(frame: LabelledFrame, name: str) -> list[int]:
    rows, cols = np.nonzero(frame.label == frame.names.index(name))
    return [int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1]


def _write_jpeg(path: Path, rgb: np.ndarray) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
