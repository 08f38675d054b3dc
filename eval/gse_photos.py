"""Real equipment from photographs, one class left out: ``python -m eval.gse_photos --root DIR --json FILE``.

``DIR`` holds ``train`` and ``valid``, each with ``images/*.jpg`` and YOLO ``labels/*.txt``. For each class in turn the
others are registered from five training photographs each; then every other photograph is asked: is a registered class
called by its name, and does the class left out look less known than the registered ones (AUROC over objects)?
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from airside.assets import embedded_bank, embedded_model
from airside.bank.store import BankStore
from airside.cameras.decode import read_image
from airside.engine.onnx import load_engine
from airside.enrolment.enrol import enrol
from airside.enrolment.support import SupportImage, mask_from_box, views_of
from airside.errors import AirsideError, InputError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.messages import Box
from eval.report_file import write_json

CLASSES = ("catering truck", "baggage truck", "boarding bridge", "boarding stairs")
SHOTS = 5


@dataclass(frozen=True, slots=True)
class BoxedObject:
    """One boxed object of one photograph."""

    path: Path
    name: str
    box: Box

    def support(self) -> SupportImage:
        image = read_image(self.path)
        return SupportImage(self.path.name, image, mask_from_box(self.box, image.shape[:2], self.path.name))


def boxed_objects(root: Path) -> list[BoxedObject]:
    """All boxes, training photographs first. Raises :class:`InputError` where the layout is another."""
    found = []
    for split in ("train", "valid"):
        for label in sorted((root / split / "labels").glob("*.txt")):
            path = root / split / "images" / f"{label.stem}.jpg"
            height, width = read_image(path).shape[:2]
            for line in label.read_text().splitlines():
                number, u, v, w, h = (float(x) for x in line.split())
                box = ((u - w / 2) * width, (v - h / 2) * height, (u + w / 2) * width, (v + h / 2) * height)
                found.append(BoxedObject(path, CLASSES[int(number)], box))
    if not found:
        raise InputError(f"{root} has no train/labels/*.txt: wanted YOLO boxes beside train/images and valid/images")
    return found


def evaluate(root: Path, model: Path, bank_path: Path) -> dict[str, Any]:
    engine, (bank, _) = load_engine(model), BankStore(bank_path).load()
    by_class: dict[str, list[BoxedObject]] = defaultdict(list)
    for item in boxed_objects(root):
        by_class[item.name].append(item)
    results = {}
    for left_out in CLASSES:
        taught = bank
        shown: set[Path] = set()
        for name in CLASSES:
            if name != left_out:
                shots = by_class[name][:SHOTS]
                shown |= {s.path for s in shots}
                taught, _ = enrol(taught, engine, name, [s.support() for s in shots], boxed=True, allow_hiding=True)
        way = knowledge_from_bank(taught, "", "default")
        scores: list[float] = []
        is_left_out: list[bool] = []
        named: list[bool] = []
        for item in (o for c in CLASSES for o in by_class[c] if o.path not in shown):
            view = views_of(item.support(), 0, engine.manifest)[-1]
            score_map = map_from_tokens(engine.tokens(view.net.image[None])[0], way)
            patches = view.cover >= 0.5
            if not patches.any():
                continue
            scores.append(float(np.median(score_map.ood_score[patches])))
            is_left_out.append(item.name == left_out)
            if item.name != left_out:
                votes = np.bincount(score_map.class_index[patches], minlength=len(way.index.names))
                named.append(way.index.names[int(votes.argmax())] == item.name)
        results[left_out] = {
            "left_out_objects": sum(is_left_out),
            "registered_objects": len(named),
            "auroc": float(roc_auc_score(is_left_out, scores)) if len(set(is_left_out)) == 2 else None,
            "named_right": float(np.mean(named)) if named else None,
        }
    return {"shots": SHOTS, "left_out": results, "model": engine.manifest.fingerprint}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.gse_photos", description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    try:
        report = evaluate(args.root, args.model or embedded_model(), args.bank or embedded_bank())
        write_json(args.json, report)
    except AirsideError as error:
        print(f"eval.gse_photos: {error}", file=sys.stderr)
        return error.exit_code
    for name, r in report["left_out"].items():
        print(
            f"left out {name:16} AUROC {r['auroc'] if r['auroc'] is None else round(r['auroc'], 3)}  "
            f"registered named right {r['named_right']:.2f} of {r['registered_objects']}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
