"""The eight camera corruptions of nuScenes-C (Xie et al., arXiv 2304.06719) at three strengths, drawn from a generator.

Six act on a picture (:data:`PICTURE_CORRUPTIONS`, :func:`corrupt`), two take whole pictures away (:data:`LOSSES`,
:func:`lost_frames`). Strengths 1, 2, 3 are the paper's easy, middle and hard. Lengths are shares of the picture's
width: they mean the same at every size. One state of the generator gives the same direction, flakes and noise at
every strength.

Our own reading of the paper, of ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261) and 3DCC (Kar et al.,
arXiv 2203.01441): quantisation, brightness and low light follow their rules; blur has their extent on nuScenes' 1600 px
of width; fog and snow are made anew, so that fog knows depth and the light of the scene colours both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from airside.errors import UsageError

STRENGTHS = (1, 2, 3)

QUANT_BITS = (5, 4, 3)  # kept of each colour's eight
BLUR_WIDTHS = (0.0065, 0.0156, 0.0195)  # way during the exposure; 10, 25 and 31 px of nuScenes' 1600
BRIGHTNESS = (0.2, 0.4, 0.5)  # added to HSV value
LOW_LIGHT = (0.5, 0.4, 0.3)  # what is left of white
PHOTONS = (250.0, 120.0, 50.0)  # that white gives a pixel in low light
READ_NOISE = (0.012, 0.018, 0.026)
FOG_VISIBILITY_M = (150.0, 75.0, 40.0)  # distance of 5 % contrast
FOG_PATCHINESS = 0.35  # standard deviation of the fog's density, of its mean
DEPTH_UNKNOWN_M = 30.0  # everywhere, where no depth is given: the middle fog leaves 30 % contrast, as ImageNet-C's does
AIRLIGHT_PERCENTILE, AIRLIGHT_GAIN, AIRLIGHT_TINT = 80, 1.25, 0.5
SNOW_COVER = (0.02, 0.045, 0.08)  # share of the picture that each of three layers of flakes touches
SNOW_VEIL = (0.10, 0.22, 0.36)  # contrast lost to flakes too far to be seen
SNOW_FLAKES = (0.0022, 0.004, 0.009)  # sizes, of the width: far, middle, near
LOST_SHARES = (2 / 6, 4 / 6, 5 / 6)  # of six cameras, or of the frames

PictureCorruption = Callable[[np.ndarray, int, np.random.Generator, np.ndarray | None], np.ndarray]
Loss = Callable[[int, int, float, np.random.Generator], np.ndarray]


def corrupt(
    image: np.ndarray, name: str, strength: int, rng: np.random.Generator, depth_m: np.ndarray | None = None
) -> np.ndarray:
    """``image`` [H, W, 3] uint8 RGB as a camera would give it under corruption ``name``: a new array like it.

    ``depth_m`` [H, W] float along the optical axis, not negative, inf for sky: used by fog alone. Raises
    :class:`UsageError` on another name, strength, image or depth.
    """
    if name not in PICTURE_CORRUPTIONS:
        lost = " (it takes whole frames: use lost_frames)" if name in LOSSES else ""
        raise UsageError(f"unknown picture corruption {name!r}{lost}: choose from {', '.join(PICTURE_CORRUPTIONS)}")
    _require_strength(strength)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise UsageError(f"wanted an image [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
    if depth_m is not None and (depth_m.shape != image.shape[:2] or not (depth_m >= 0).all()):
        raise UsageError(
            f"wanted a depth {list(image.shape[:2])} in metres, not negative and no NaN (inf: sky), "
            f"got {list(depth_m.shape)}, least value {depth_m.min() if depth_m.size else None}"
        )
    light = PICTURE_CORRUPTIONS[name](image, strength - 1, rng, depth_m)
    return light if light.dtype == np.uint8 else np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


def lost_frames(name: str, frames: int, cameras: int, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Which pictures of a stretch are black: [frames, cameras] bool.

    ``camera_crash``: 2, 4 or 5 of six cameras (that share of ``cameras``, rounded up) deliver nothing for the whole
    stretch. ``frame_lost``: every picture is lost with that chance, independently. Raises :class:`UsageError` on
    another name or strength, or an empty stretch.
    """
    if name not in LOSSES:
        raise UsageError(f"unknown loss {name!r}: choose from {', '.join(LOSSES)}")
    _require_strength(strength)
    if frames < 1 or cameras < 1:
        raise UsageError(f"a stretch has frames and cameras, got {frames} and {cameras}")
    return LOSSES[name](frames, cameras, LOST_SHARES[strength - 1], rng)


def corrupt_some(
    images: np.ndarray, share: float, rng: np.random.Generator, depth_m: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Augmentation: each of ``images`` [B, H, W, 3] uint8 with chance ``share`` under one of the six, at any strength.

    ``depth_m``: one [H, W] for each image, as for :func:`corrupt`. Raises :class:`UsageError` on a share outside [0, 1]
    or another number of depths.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"share must be in [0, 1], got {share}")
    if depth_m is not None and len(depth_m) != len(images):
        raise UsageError(f"wanted one depth for each of {len(images)} images, got {len(depth_m)}")
    names, out = list(PICTURE_CORRUPTIONS), images.copy()
    for k in np.flatnonzero(rng.random(len(images)) < share).tolist():
        name, strength = names[rng.integers(len(names))], int(rng.choice(STRENGTHS))
        out[k] = corrupt(images[k], name, strength, rng, None if depth_m is None else depth_m[k])
    return out


def _require_strength(strength: int) -> None:
    if strength not in STRENGTHS:
        raise UsageError(f"strength is 1 (easy), 2 (middle) or 3 (hard), got {strength!r}")


def _colour_quant(image: np.ndarray, k: int, _rng: np.random.Generator, _depth_m: np.ndarray | None) -> np.ndarray:
    """Each colour keeps its highest bits."""
    return image & np.uint8(256 - (1 << (8 - QUANT_BITS[k])))


def _motion_blur(image: np.ndarray, k: int, rng: np.random.Generator, _depth_m: np.ndarray | None) -> np.ndarray:
    """Even motion during the exposure in a drawn direction.

    Centred, where ImageNet-C's kernel drags one way: the truth belongs to mid-exposure.
    """
    angle = rng.uniform(0, np.pi)
    kernel = _line_kernel(BLUR_WIDTHS[k] * image.shape[1], angle)
    return np.asarray(cv2.filter2D(_light(image), -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def _brightness(image: np.ndarray, k: int, _rng: np.random.Generator, _depth_m: np.ndarray | None) -> np.ndarray:
    """HSV value raised, hue and saturation kept; black, which has neither, turns grey."""
    value = np.arange(256, dtype=np.float32) / np.float32(255)
    raised = np.minimum(value + np.float32(BRIGHTNESS[k]), 1)
    brightest = image.max(axis=2)
    light = _light(image) * (raised / np.maximum(value, np.float32(1 / 255)))[brightest][..., None]
    light[brightest == 0] = raised[0]
    return np.asarray(light)


def _low_light(image: np.ndarray, k: int, rng: np.random.Generator, _depth_m: np.ndarray | None) -> np.ndarray:
    """Darker at gamma 2, with shot noise (as a normal of equal variance) and read noise."""
    dark = np.float32(LOW_LIGHT[k]) * _light(image) ** 2
    spread = np.sqrt(dark / np.float32(PHOTONS[k]) + np.float32(READ_NOISE[k] ** 2))
    return np.asarray(dark + spread * rng.standard_normal(image.shape, np.float32))


def _fog(image: np.ndarray, k: int, rng: np.random.Generator, depth_m: np.ndarray | None) -> np.ndarray:
    """Koschmieder: contrast falls with depth towards the airlight; the fog drifts in patches."""
    light = _light(image)
    patches = np.clip(1 + FOG_PATCHINESS * _clouds(image.shape[:2], rng), 0.2, None)
    depth = np.float32(DEPTH_UNKNOWN_M) if depth_m is None else depth_m.astype(np.float32)
    through = np.exp(np.float32(-3 / FOG_VISIBILITY_M[k]) * patches * depth)[..., None]
    return np.asarray(light * through + _airlight(light) * (1 - through))


def _snow(image: np.ndarray, k: int, rng: np.random.Generator, _depth_m: np.ndarray | None) -> np.ndarray:
    """Three layers of flakes, the near ones larger and faster, over a veil of those too far to be seen."""
    light = _light(image)
    height, width = image.shape[:2]
    lean = rng.uniform(-0.6, 0.6)  # of the wind, from straight down
    clear = np.full((height, width), 1 - SNOW_VEIL[k], np.float32)
    for size in SNOW_FLAKES:
        flake_px = size * width
        few = (max(round(height / flake_px), 1), max(round(width / flake_px), 1))
        chance = rng.random(few, np.float32)
        shine = rng.uniform(0.5, 0.95, few).astype(np.float32)
        flakes = cv2.resize(np.where(chance < SNOW_COVER[k], shine, 0), (width, height), interpolation=cv2.INTER_CUBIC)
        flakes = cv2.filter2D(np.clip(flakes, 0, 1), -1, _line_kernel(1.5 * flake_px, np.pi / 2 + lean))
        clear *= 1 - np.clip(flakes, 0, 1)
    white = np.minimum(_airlight(light) * np.float32(1.05) + np.float32(0.1), 1)
    return np.asarray(light * clear[..., None] + white * (1 - clear[..., None]))


def _camera_crash(frames: int, cameras: int, share: float, rng: np.random.Generator) -> np.ndarray:
    lost = np.zeros((frames, cameras), bool)
    lost[:, rng.permutation(cameras)[: int(np.ceil(share * cameras - 1e-9))]] = True
    return lost


def _frame_lost(frames: int, cameras: int, share: float, rng: np.random.Generator) -> np.ndarray:
    return rng.random((frames, cameras)) < share


def _light(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / np.float32(255)


def _airlight(light: np.ndarray) -> np.ndarray:
    """[3] colour of lit air: a little lighter than the picture's brighter part, some of its tint; dark by night."""
    sample = light[::4, ::4].reshape(-1, 3)
    tint = sample.mean(axis=0)
    level = AIRLIGHT_GAIN * np.percentile(sample.mean(axis=1), AIRLIGHT_PERCENTILE)
    return np.asarray(np.clip(level + AIRLIGHT_TINT * (tint - tint.mean()), 0, 1), np.float32)


def _clouds(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """[H, W] float32 noise of octaves, mean about 0 and standard deviation about 1."""
    total = np.zeros(shape, np.float32)
    for cells, weight in ((3, 1.0), (6, 0.5), (12, 0.25)):
        grid = rng.standard_normal((cells, 2 * cells), np.float32)
        total += np.float32(weight) * cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total


def _line_kernel(length_px: float, angle_rad: float) -> np.ndarray:
    """Box of ``length_px`` along a line through the middle, spread bilinearly: [2 r + 1, 2 r + 1] float32 of sum 1."""
    radius = int(np.ceil(length_px / 2)) + 1
    way = length_px * ((np.arange(64) + 0.5) / 64 - 0.5)
    u, v = radius + way * np.cos(angle_rad), radius + way * np.sin(angle_rad)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for du in (0, 1):
        for dv in (0, 1):
            left, top = np.floor(u).astype(int) + du, np.floor(v).astype(int) + dv
            np.add.at(kernel, (top, left), (1 - abs(u - left)) * (1 - abs(v - top)))
    return np.asarray(kernel / kernel.sum(), np.float32)


PICTURE_CORRUPTIONS: dict[str, PictureCorruption] = {
    "colour_quant": _colour_quant,
    "motion_blur": _motion_blur,
    "brightness": _brightness,
    "low_light": _low_light,
    "fog": _fog,
    "snow": _snow,
}
LOSSES: dict[str, Loss] = {"camera_crash": _camera_crash, "frame_lost": _frame_lost}
