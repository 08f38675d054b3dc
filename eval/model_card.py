"""The card beside airside-mini, from measured figures: ``python -m eval.model_card --apron FILE [--depth FILE] ...``.

Each file is what the benchmark of that name wrote with ``--json``; what is not given is not on the card.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airside.assets import embedded_model
from airside.engine.bundle import open_bundle

TEXT = """# airside-mini

A vision transformer of ViT-Tiny class (6 blocks of 192, patch 14, 4 registers, {height} x {width} px; a small
convolutional path beside the linear patch embedding), a small DPT decoder for depth and a Lift-Splat head for the
bird's-eye view on its tokens and its depth, trained from random weights by `training/` on this project's own apron
simulator.
Fingerprint `{fingerprint}`. Licence: Apache-2.0.

**Made for simulated aprons.** It exists so that the demo, the tests and the benchmark are real and run offline. Do not
put it on a vehicle. On photographs it is worth little: {photos}

## How it was trained

Each asset is its own class of a dense cosine softmax over patch tokens; a second softmax gathers families and keeps a
place for patches of no family (abstract clutter, shown as outliers). The types of the *unknown* split were never
shown, neither here nor to the bank. Depth is learned as if seen through one focal length; the bird's-eye view from six
cameras mounted anew at every stop. A quarter of the pictures is stored under one of nuScenes-C's corruptions.

Two trainings on one H100 while its processor rendered, each step of 128 single pictures and 8 stops of a vehicle (176
pictures): 2,844 steps from random weights on 870 worlds, and from what that left 3,952 on 683 other worlds and 548 more
at a lower rate, single pictures enlarged up to 1.6 times. Each world has 34 assets of its own, 40 single pictures and 6
stops. The weights are the average over the last steps (`configs/training/mini.yaml`). The learning rate fell by the
clock: a new training repeats it closely, not to the bit.

The bird's-eye head then learned alone, on two cores without a GPU, on what the rest says of 1,784 stops in 223 further
worlds (`training.bev_head`): 1,000 steps of 8 stops lifting by what it tells of depth itself, and 2,200 lifting by that
and by what the depth branch measures (`configs/training/bev_head.yaml`).

The scoring constants (soft maximum temperature, prototypes a class and of the guard, guard weight, centre and scale of
the logistic) were chosen on development frames of the simulator whose worlds the benchmark below does not contain
(`python -m eval.scoring_sweep`); the unknown *types* are the same.

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
{depth}{bev}{corruption}"""


def card(reports: dict[str, dict[str, Any]]) -> str:
    """The card's text; ``reports`` by name: ``apron``, and of the others what there is."""
    manifest, apron = open_bundle(embedded_model()).manifest, reports["apron"]
    protocol, methods, shots = apron["protocol"], apron["methods"], apron["few_shot"]
    rows = "\n".join(
        f"| {name} | {m['ap']:.3f} | {m['fpr95']:.3f} | {m['object_recall']:.3f} | {m['clean_alarm_rate']:.2%} |"
        for name, m in methods.items()
    )
    last = methods[shots["method"]]
    sizes = ", ".join(f"{k}: {v['rate']:.2f}" for k, v in last["recall_by_patches"].items() if v["rate"] is not None)
    conditions = ", ".join(f"{k} {v:.2f}" for k, v in last["recall_by_condition"].items() if v is not None)
    words = {name: tell(reports[name]) if name in reports else "" for name, tell in _PARTS.items()}
    return TEXT.format(
        height=manifest.height_px,
        width=manifest.width_px,
        fingerprint=manifest.fingerprint[:12],
        photos=_photo_words(reports.get("photos")),
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
        **words,
    )


def _depth_words(report: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {r['network']['abs_rel']:.3f} | {r['network']['rmse_m']:.2f} | {r['network']['delta1']:.3f} | "
        f"{r['ground_plane']['abs_rel']:.3f} |"
        for name, r in (("everything", report["everything"]), ("objects", report["objects"]),
                        ("unknown objects", report["unknown_objects"]))
    )  # fmt: skip
    return f"""
`python -m eval.apron --task depth`, up to 45 m:

| | AbsRel | RMSE, m | delta1 | AbsRel of the ground plane |
|---|---|---|---|---|
{rows}
"""


def _bev_words(report: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {layer} | {r['network']:.3f} | {r.get('simple_bev', float('nan')):.3f} | {r['constant']:.3f} |"
        for layer, r in report["within_25_m"].items()
    )
    return f"""
`python -m eval.apron --task bev`, six cameras, IoU within 25 m at a probability of 0.5:

| layer | Lift-Splat (shipped) | Simple-BEV, same tokens | constant prior |
|---|---|---|---|
{rows}

Simple-BEV learned in the first two trainings only, from a third of their stops.
"""


def _corruption_words(report: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | " + " | ".join(f"{cell['relative_ap']:.0%}" for cell in by_strength.values()) + " |"
        for name, by_strength in report["corruptions"].items()
    )
    return f"""
`python -m eval.apron --task corruption`, {report["protocol"]["frames"]} frames: pixel AP relative to clean, at three
strengths:

| | easy | middle | hard |
|---|---|---|---|
{rows}
"""


_PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "depth": _depth_words, "bev": _bev_words, "corruption": _corruption_words
}  # fmt: skip


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
    for name in ("apron", *_PARTS, "photos"):
        parser.add_argument(f"--{name}", type=Path, required=name == "apron")
    given = {name: path for name, path in vars(parser.parse_args()).items() if path is not None}
    path = embedded_model().parent / "MODEL_CARD.md"
    path.write_text(card({name: json.loads(file.read_text()) for name, file in given.items()}))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
