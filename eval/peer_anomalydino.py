"""anomalib's AnomalyDINO, timed from another environment: eval.latency starts this file with ``--peer-python``.

Run by its path; it needs anomalib, torch and timm, and nothing of this project. The encoder is made by timm under its
own name with random weights (published ones would have to be fetched; speed does not depend on them), the bank is the
one it is given. Each line "go" on its input is one picture, from uint8 pixels to the anomaly map, and one line of
milliseconds on its output; the first line says the versions.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from importlib import metadata
from typing import Any

import numpy as np
import timm
import torch

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def made(backbone: str, bank: np.ndarray) -> Any:
    """anomalib's own model; only where its weights come from is changed."""
    published = timm.create_model

    @functools.wraps(published)
    def random_weights(*args: Any, **options: Any) -> Any:
        return published(*args, **{**options, "pretrained": False})

    timm.create_model = random_weights
    from anomalib.models.image.anomaly_dino.torch_model import AnomalyDINOModel

    torch.manual_seed(0)
    model = AnomalyDINOModel(encoder_name=backbone).eval()
    model.memory_bank = torch.from_numpy(bank)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--bank", required=True, help="[P, C] float32, .npy")
    parser.add_argument("--picture", required=True, help="[H, W, 3] uint8, .npy")
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, picture = made(args.backbone, np.load(args.bank)), np.load(args.picture)
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    versions = {name: metadata.version(name) for name in ("anomalib", "torch", "timm")}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        with torch.inference_mode():
            pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
            found = model((pixels - mean) / deviation)
        assert bool(torch.isfinite(found.anomaly_map).all())
        print(1e3 * (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
