"""A recorded step computes what the step itself computes; only a GPU can record one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.mini_data import RECIPE, TINY, write_world
from training.captured import Captured
from training.mini import draw_batch, loss_of, new_model
from training.pool import Pool


@pytest.mark.skipif(not torch.cuda.is_available(), reason="only a GPU records its work")
def test_a_recorded_step_gives_the_same_figures_and_gradients(tmp_path: Path) -> None:
    device = torch.device("cuda")
    write_world(tmp_path, 0)
    pool = Pool(tmp_path, 1, device)
    model = new_model(pool, RECIPE, TINY, device)

    def learn(batch: object, generator: torch.Generator) -> dict[str, torch.Tensor]:
        model.zero_grad(set_to_none=True)
        loss, figures = loss_of(model, batch, pool.family_of_asset, RECIPE, generator)  # type: ignore[arg-type]
        loss.backward()
        return figures

    captured, generator = Captured(learn), torch.Generator(device)
    for step in range(3):
        generator.manual_seed(step)
        got = captured(draw_batch(pool, RECIPE, TINY, generator), generator)
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        kept = {name: p.grad for name, p in model.named_parameters()}
        again = torch.Generator(device).manual_seed(step)
        wanted = learn(draw_batch(pool, RECIPE, TINY, again), again)
        for name, value in wanted.items():
            torch.testing.assert_close(got[name], value, atol=1e-3, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")
        for name, p in model.named_parameters():
            if p.grad is not None:
                torch.testing.assert_close(gradients[name], p.grad, atol=2e-3, rtol=5e-2)
            p.grad = kept[name]
