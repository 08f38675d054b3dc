"""The simulator's benchmark frames as a data set: rendered once into the root, which keeps them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from airside.errors import UnavailableError
from eval.apron_protocol import Protocol
from eval.datasets.frames import RoadFrame


def apron_frames(root: Path, protocol: Protocol | None = None) -> tuple[RoadFrame, ...]:
    """The test frames of ``protocol`` (default: the benchmark's): unknown types are unknown, conditions its own."""
    try:
        from eval.apron import rendered, unknown_instances  # needs the simulator, which the other data sets do not
    except ImportError as error:
        raise UnavailableError(f"the apron needs the simulator ({error}): pip install -e '.[sim]'") from error
    found = []
    plans = (protocol or Protocol()).test_plans()
    for k, frame in enumerate(rendered(plans, "worlds with unknown objects", 0, root)):
        truth = np.isin(frame.instance, list(unknown_instances(frame))).astype(np.uint8)
        name = f"apron_{k:04d}"
        found.append(
            RoadFrame(name, frame.condition, f"{name} (rendered)", partial(_same, frame.rgb), partial(_same, truth))
        )
    return tuple(found)


def _same(array: np.ndarray) -> np.ndarray:
    return array
