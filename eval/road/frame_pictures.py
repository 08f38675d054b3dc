"""One frame as the report shows it: the picture with outlines, and the heat map over it, both inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from eval.datasets.frames import IGNORE, UNKNOWN
from eval.metrics.components import ComponentSizes, without_small_components
from eval.metrics.official import FrameBins

WIDTH_PX = 620
TRUE_RGB, PREDICTED_RGB = (0, 220, 140), (255, 92, 40)
_HEAT = cv2.COLORMAP_INFERNO
_HEAT_SHARE = 0.62  # of the heat map over the grey picture


@dataclass(frozen=True, slots=True)
class HeatRange:
    """Scores from black to white: the same for all frames of a method."""

    low: float
    high: float

    @classmethod
    def of(cls, bins: tuple[FrameBins, ...]) -> HeatRange:
        """From the 2nd percentile of the known to the 98th of the unknown pixels."""
        threshold = np.concatenate([b.threshold for b in bins])
        order = np.argsort(threshold)
        ends = []
        for counts, level in (([b.known for b in bins], 0.02), ([b.unknown for b in bins], 0.98)):
            share = np.cumsum(np.concatenate(counts)[order])
            ends.append(float(threshold[order][np.searchsorted(share, level * share[-1])]))
        return cls(ends[0], max(ends[1], ends[0] + 1e-6))

    def unit(self, scores: np.ndarray) -> np.ndarray:
        return np.clip((scores - self.low) / (self.high - self.low), 0, 1)


def frame_pictures(
    rgb: np.ndarray, label: np.ndarray, scores: np.ndarray, threshold: float, sizes: ComponentSizes, heat: HeatRange
) -> tuple[str, str]:
    """Two data URIs: outlines (true and predicted components) on the picture, and the heat map."""
    height = round(rgb.shape[0] * WIDTH_PX / rgb.shape[1])
    shrink = cv2.INTER_AREA if rgb.shape[1] > WIDTH_PX else cv2.INTER_LINEAR
    picture = cv2.resize(rgb, (WIDTH_PX, height), interpolation=shrink)
    predicted = without_small_components((scores > threshold) & (label != IGNORE), sizes.predicted_px)
    outlined = picture.copy()
    for mask, colour, line in ((label == UNKNOWN, TRUE_RGB, 4), (predicted, PREDICTED_RGB, 2)):
        _outline(outlined, mask, colour, line)
    values = cv2.resize(heat.unit(scores).astype(np.float32), (WIDTH_PX, height), interpolation=shrink)
    colours = heat_rgb(values)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    blended = cv2.addWeighted(colours, _HEAT_SHARE, grey, 1 - _HEAT_SHARE, 0)
    ignored = cv2.resize((label == IGNORE).astype(np.uint8), (WIDTH_PX, height), interpolation=cv2.INTER_NEAREST) > 0
    blended[ignored] = grey[ignored] // 3
    return _data_uri(outlined), _data_uri(blended)


def heat_rgb(values: np.ndarray) -> np.ndarray:
    """[H, W] in [0, 1] -> [H, W, 3] uint8."""
    coded = np.round(values * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(coded, _HEAT), cv2.COLOR_BGR2RGB))


def heat_bar() -> str:
    """The colour scale as a data URI, low to high."""
    return _data_uri(heat_rgb(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(10, axis=0)))


def _outline(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], line: int) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    scale = np.array([picture.shape[1] / mask.shape[1], picture.shape[0] / mask.shape[0]])
    scaled = [np.round(c * scale).astype(np.int32) for c in contours]
    cv2.polylines(picture, scaled, True, colour, line, cv2.LINE_AA)


def _data_uri(rgb: np.ndarray) -> str:
    coded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])[1]
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()
