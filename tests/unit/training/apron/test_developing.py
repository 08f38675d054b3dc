"""What air and ground do to a picture."""

from __future__ import annotations

import cv2
import numpy as np

from training.apron.developing import _noise_at, _tile


def test_the_ground_s_noise_is_periodic_to_the_bit_as_the_modulus_has_it() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        xy_m = rng.uniform(-300, 300, (80, 120, 2)).astype(dtype)
        xy_m[:4] = np.nan  # no ground
        xy_m[4, :6, 0] = (0.0, -0.0, 6.0, -6.0, 1e-9, -1e-9)
        for period_m, blur in ((6.0, 0.0), (20.0, 1.5), (90.0, 14.0)):
            uv = np.nan_to_num(np.mod(xy_m / period_m, 1.0) * 512).astype(np.float32)
            wanted = cv2.remap(_tile(blur), uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            np.testing.assert_array_equal(_noise_at(xy_m, period_m, blur), wanted)
