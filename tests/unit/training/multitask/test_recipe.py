"""Recipes: the shipped ones load, and whatever they do not understand is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from airside.errors import UsageError
from tests.multitask_data import tiny_recipe, write_recipe
from training.multitask.recipe import DistillRecipe, Recipe, Schedule, load_recipe

SHIPPED = Path(__file__).parents[4] / "configs" / "training"


def test_the_shipped_recipes_load() -> None:
    recipe = load_recipe(Recipe, SHIPPED / "multitask.yaml")
    assert recipe.adaptation.mode == "lora"
    assert recipe.bev.depth_bins.edges_m == tuple(float(edge) for edge in range(4, 46))
    assert load_recipe(DistillRecipe, SHIPPED / "distill.yaml").cosine == 0.9


def test_unknown_and_missing_keys_are_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "recipe.yaml", schedule={"learning_rat": 1.0})
    with pytest.raises(UsageError, match=r"recipe\.yaml: schedule: unknown key 'learning_rat'.*'learning_rate'"):
        load_recipe(Recipe, path)
    keys = yaml.safe_load((SHIPPED / "multitask.yaml").read_text())
    del keys["bev"]
    path.write_text(yaml.safe_dump(keys))
    with pytest.raises(UsageError, match="'bev' is missing"):
        load_recipe(Recipe, path)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("adaptation", {"mode": "some"}, "frozen, lora, full, got 'some'"),
        ("adaptation", {"blocks": 0}, "at least 1 block, got 0"),
        ("adaptation", {"rate": 0.0}, "rate: must be positive"),
        ("schedule", {"steps": 0}, "steps: must be positive"),
        ("schedule", {"batch": 2.5}, "schedule.batch: wanted a whole number"),
        ("schedule", {"warmup": -1}, "warmup: must not be negative"),
        ("schedule", {"report_every": 4, "checkpoint_every": 6}, r"\(6\) must be a multiple of report_every \(4\)"),
        ("weights", {"depth": -1.0}, "weights of at least 0"),
        ("weights", {"asset": 0.0, "family": 0.0, "depth": 0.0, "bev": 0.0, "bins": 0.0}, "one above it"),
        ("weights", {"bev": 0.0}, "bins: depth bins belong to the bird's-eye head"),
        ("depth", {"blocks": [1, 2]}, r"blocks: wanted 4 numbers, got \(1, 2\)"),
        ("depth", {"max_m": 0.0}, "max_m and focal_px: must be positive"),
        ("bev", {"bins": 0}, "bins: must be positive"),
        ("bev", {"positive": [1.0, 0.0]}, "positive weights"),
        ("bev", {"depth_range_m": [9.0, 2.0]}, "edges must increase"),
        ("augmentation", {"lost": 1.5}, "lost: a chance"),
    ],
)
def test_what_can_not_be_is_refused(section: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tiny_recipe(**{section: change})


def test_the_rate_warms_up_and_falls_to_two_percent() -> None:
    schedule = Schedule(100, 1, 0.01, 0.0, 10, 1.0, 0, 1, 1, False)
    rates = [schedule.rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[9] == rates[10] == pytest.approx(0.01)
    assert rates[100] == pytest.approx(0.0002)
    assert max(rates) == rates[10]
