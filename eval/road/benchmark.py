"""How long measuring takes and how much memory it needs: ``python -m eval.road benchmark [--frames 100] --json FILE``.

Frames of 2048 x 1024 px with noise and one object are made in a temporary folder; the clock runs while
``python -m eval.road metrics`` measures them in a process of its own, on two threads.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.errors import UnavailableError
from airside.progress import Progress
from eval.aims import Aim
from eval.datasets.table import data_set
from eval.road.predictions import method_folder, write_scores

HEIGHT, WIDTH, FRAMES = 1024, 2048, 100
WANTED_S, WANTED_GIB = 60.0, 4.0  # for FRAMES frames
THREADS = 2
DATA_SET = "anomaly-track"


def make_frames(root: Path, frames: int) -> None:
    """``frames`` labelled frames and score maps of a mediocre method, in the official layouts below ``root``."""
    rng = np.random.default_rng(0)
    folder = method_folder(root, "noise", data_set(DATA_SET))
    for name in ("images", "labels_masks"):
        (root / name).mkdir()
    picture = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    picture = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    with Progress("frames made", frames) as progress:
        for k in range(frames):
            label = np.zeros((HEIGHT, WIDTH), np.uint8)
            top, left = rng.integers(300, 700), rng.integers(0, 1700)
            label[top : top + 150, left : left + 200] = 1
            label[-60:] = 255
            noise = rng.normal(size=(HEIGHT // 4, WIDTH // 4)).astype(np.float32)
            smooth = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 4) * 8, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            write_scores(folder, f"f{k:03d}", 1 / (1 + np.exp(1 - smooth - 2.5 * (label == 1))))
            cv2.imwrite(str(root / "images" / f"f{k:03d}.jpg"), picture)
            cv2.imwrite(str(root / "labels_masks" / f"f{k:03d}_labels_semantic.png"), label)
            progress.step()


def benchmark(frames: int) -> dict[str, Any]:
    """Wall time and greatest memory of the measuring process. Raises :class:`UnavailableError` where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_frames(root, frames)
        paths = ["--root", str(root), "--predictions", str(root), "--out", str(root / "out")]
        threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "eval.road", "metrics", "--dataset", DATA_SET, *paths],
            env={**os.environ, **threads},
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise UnavailableError(f"eval.road metrics ended with {done.returncode}; its message is above")
        memory_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    share = frames / FRAMES
    aims = [Aim("seconds", WANTED_S * share, seconds), Aim("GiB of memory", WANTED_GIB, memory_gib)]
    return {
        "frames": frames,
        "height_px": HEIGHT,
        "width_px": WIDTH,
        "threads": THREADS,
        "seconds": seconds,
        "memory_gib": memory_gib,
        "aims": [aim.as_json() for aim in aims],
    }
