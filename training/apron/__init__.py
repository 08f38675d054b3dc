"""The apron simulator: parametric equipment, aircraft and debris on a lit, weathered airport apron."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is first imported: render without a display
