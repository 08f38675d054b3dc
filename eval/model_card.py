"""The card beside airside-mini, from measured figures: ``python -m eval.model_card --apron FILE [--photos FILE]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from airside.assets import embedded_model
from airside.engine.bundle import open_bundle

TEXT = """# airside-mini

A vision transformer of ViT-Tiny class (6 blocks of 192, patch 14, 4 registers, {height} x {width} px; a small
convolutional path beside the linear patch embedding), trained from
random weights by `training/` on this project's own apron simulator. Fingerprint `{fingerprint}`. Licence: Apache-2.0.

**Made for simulated aprons.** It exists so that the demo, the tests and the benchmark are real and run offline. Do not
put it on a vehicle. On photographs it is worth little: {photos}

## How it was trained

Each asset is its own class of a dense cosine softmax over patch tokens; a second softmax gathers families and keeps a
place for patches of no family (abstract clutter, shown as outliers). The types of the *unknown* split were never
shown, neither here nor to the bank. Two trainings, the second from the weights of the first (`--start`):

1. 7,900 steps of 16 windows from 8,000 pictures of 2,720 random assets of an earlier state of the simulator (80
   minutes, two cores, bfloat16); schedule changed on the way at steps 1,500 and 3,000.
2. From those weights (`--start`), in float32 on two busy cores: 2,600 steps of 16 windows looking at 40 % of their
   patches and 550 steps of whole windows and pictures, from 7,900 pictures of 5,372 random assets, with the
   convolutional detail path and depth as a side task; schedule shortened on the way at steps 1,000 and 2,000. The
   shipped weights are half of its last weights and half of the first training's (`python -m training.soup`).

A new training repeats neither to the bit.

The scoring constants (soft maximum temperature, guard weight, centre and scale of the logistic) were chosen on
development frames of the simulator whose worlds the benchmark below does not contain (`python -m
eval.scoring_sweep`); the unknown *types* are the same.

## What it reaches

`python -m eval.apron`: {frames} frames with {types} unknown types ({share:.1%} of the pixels), {clean} clean
frames.

| method | pixel AP | FPR95 | recall of objects over 20 patches | clean frames that alarm |
|---|---|---|---|---|
{rows}

Recall of `{last}` by size in patches: {sizes}. By condition (objects over 20 patches): {conditions}.

Few-shot (`{last}`, {images} pictures with boxes, each of {shots} types registered alone): {named:.0%} of the
appearances afterwards known under the right name, {known:.0%} no longer alarming; greatest loss of recall on the
other types {drop:.1%}.
"""


def card(apron: dict[str, Any], photos: dict[str, Any] | None) -> str:
    manifest = open_bundle(embedded_model()).manifest
    protocol, methods, shots = apron["protocol"], apron["methods"], apron["few_shot"]
    rows = "\n".join(
        f"| {name} | {m['ap']:.3f} | {m['fpr95']:.3f} | {m['object_recall']:.3f} | {m['clean_alarm_rate']:.2%} |"
        for name, m in methods.items()
    )
    last = methods[shots["method"]]
    sizes = ", ".join(f"{k}: {v['rate']:.2f}" for k, v in last["recall_by_patches"].items() if v["rate"] is not None)
    conditions = ", ".join(f"{k} {v:.2f}" for k, v in last["recall_by_condition"].items() if v is not None)
    return TEXT.format(
        height=manifest.height_px,
        width=manifest.width_px,
        fingerprint=manifest.fingerprint[:12],
        photos=_photo_words(photos),
        frames=protocol["frames"],
        types=protocol["unknown_types"],
        share=protocol["unknown_pixel_share"],
        clean=protocol["clean_frames"],
        rows=rows,
        last=shots["method"],
        sizes=sizes,
        conditions=conditions,
        images=shots["images"],
        shots=len(shots["types"]),
        named=shots["named"],
        known=shots["known"],
        drop=shots["other_recall_drop"],
    )


def _photo_words(photos: dict[str, Any] | None) -> str:
    if photos is None:
        return "it has not been measured."
    parts = [
        f"{name} {r['auroc']:.2f}" if r["auroc"] is not None else f"{name} -" for name, r in photos["left_out"].items()
    ]
    named = [r["named_right"] for r in photos["left_out"].values() if r["named_right"] is not None]
    return (
        f"with {photos['shots']} photographs a class, registered equipment is called by its right name in "
        f"{min(named):.0%} to {max(named):.0%} of other photographs, and a class left out is told from registered ones "
        f"with AUROC {', '.join(parts)} (0.5 is chance; `python -m eval.gse_photos`)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.model_card", description=__doc__)
    parser.add_argument("--apron", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    args = parser.parse_args()
    photos = json.loads(args.photos.read_text()) if args.photos else None
    path = embedded_model().parent / "MODEL_CARD.md"
    path.write_text(card(json.loads(args.apron.read_text()), photos))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
