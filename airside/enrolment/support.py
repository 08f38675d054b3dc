"""A support picture as the network will see it: the whole scene, and the object closer up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from airside.bank.bank import SupportCrop
from airside.cameras.fit import fit_to_network
from airside.engine.bundle import Manifest
from airside.errors import CorruptError, InputError
from airside.messages import Box, NetworkInput

OBJECT_SHARES = (None, 0.5)  # of the view's width or height filled by the object; None: the whole picture
MAX_ENLARGEMENT = 2.5  # closer than that a view shows blur, not the object
KEPT_SIDE_PX = 560  # support crops are kept at most this large
KEPT_MARGIN = 1.0  # with this much context around the object, in object sizes


@dataclass(frozen=True, slots=True)
class SupportImage:
    """One picture of the new class and, where known, where in it: ``mask`` [H, W] bool, high = object."""

    label: str  # how messages call it, usually the file name
    image: np.ndarray  # [H, W, 3] uint8 RGB
    mask: np.ndarray | None


@dataclass(frozen=True, slots=True)
class SupportView:
    """A view of a support picture: network input, and the share of each patch that the object covers [Hp, Wp] 0..1."""

    source: int  # which support picture
    net: NetworkInput
    cover: np.ndarray


def mask_from_box(box: Box, shape: tuple[int, int], label: str) -> np.ndarray:
    """A filled box as a mask [H, W] bool. Raises :class:`InputError` for a box outside the picture or without area."""
    x0, y0, x1, y1 = box
    h, w = shape
    if not all(np.isfinite(box)) or x1 <= x0 or y1 <= y0:
        raise InputError(f"{label}: box {box} has no area; wanted x0,y0,x1,y1 in pixels with x1 > x0 and y1 > y0")
    if x1 <= 0 or y1 <= 0 or x0 >= w or y0 >= h:
        raise InputError(f"{label}: box {box} lies outside the {w}x{h} picture")
    mask = np.zeros(shape, bool)
    mask[max(0, round(y0)) : max(1, round(y1)), max(0, round(x0)) : max(1, round(x1))] = True
    return mask


def views_of(support: SupportImage, source: int, manifest: Manifest) -> list[SupportView]:
    """The whole picture and, where the object is known and sharp enough, a closer view of it."""
    views = []
    for share in OBJECT_SHARES:
        window = (0, 0, support.image.shape[1], support.image.shape[0])
        if share is not None:
            close = _window(support, share, manifest)
            if close is None:
                continue
            window = close
        x0, y0, x1, y1 = window
        net = fit_to_network(support.image[y0:y1, x0:x1], manifest.height_px, manifest.width_px, manifest.patch_px)
        mask = np.ones((y1 - y0, x1 - x0), bool) if support.mask is None else support.mask[y0:y1, x0:x1]
        views.append(SupportView(source, net, patch_cover(mask, net, manifest)))
    return views


def patch_cover(mask: np.ndarray, net: NetworkInput, manifest: Manifest) -> np.ndarray:
    """Share of each network patch [Hp, Wp] that ``mask`` [H, W] bool, in the picture's own pixels, covers."""
    matrix = np.array([[net.scale[0], 0, net.offset_px[0]], [0, net.scale[1], net.offset_px[1]]], np.float32)
    soft: np.ndarray = mask.astype(np.float32)
    if max(net.scale) > 1:
        soft = cv2.blur(soft, (max(1, round(net.scale[0])), max(1, round(net.scale[1]))))
    size = (manifest.width_px, manifest.height_px)
    flat = cv2.warpAffine(soft, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0)
    rows, cols = manifest.grid
    cover = flat.reshape(rows, manifest.patch_px, cols, manifest.patch_px).mean(axis=(1, 3))
    return np.asarray(cover * net.observed, np.float32)


def _window(support: SupportImage, share: float, manifest: Manifest) -> tuple[int, int, int, int] | None:
    """A window of the network's aspect in which the object fills ``share``; None where it would not bring it closer."""
    if support.mask is None:
        return None
    h, w = support.mask.shape
    x0, y0, bw, bh = cv2.boundingRect(support.mask.astype(np.uint8))
    aspect = manifest.width_px / manifest.height_px
    width = max(bw, bh * aspect) / share
    width = max(width, manifest.width_px / MAX_ENLARGEMENT)
    height = width / aspect
    if width > 0.8 * w or height > 0.8 * h:
        return None
    left = int(np.clip(x0 + bw / 2 - width / 2, 0, w - width))
    top = int(np.clip(y0 + bh / 2 - height / 2, 0, h - height))
    return left, top, left + int(width), top + int(height)


def pixels_sha256(image: np.ndarray) -> str:
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def kept_crop(support: SupportImage, mask: np.ndarray) -> SupportCrop:
    """The part of the picture worth keeping: the object with context, at most :data:`KEPT_SIDE_PX` large."""
    h, w = mask.shape
    x0, y0, bw, bh = cv2.boundingRect(mask.astype(np.uint8))
    pad_x, pad_y = round(KEPT_MARGIN * bw), round(KEPT_MARGIN * bh)
    x1, y1 = min(w, x0 + bw + pad_x), min(h, y0 + bh + pad_y)
    x0, y0 = max(0, x0 - pad_x), max(0, y0 - pad_y)
    image: np.ndarray = support.image[y0:y1, x0:x1]
    cut: np.ndarray = mask[y0:y1, x0:x1].astype(np.uint8) * 255
    scale = KEPT_SIDE_PX / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_NEAREST)
    return encode_crop(image, cut, pixels_sha256(support.image))


def encode_crop(image: np.ndarray, mask_255: np.ndarray, sha256: str) -> SupportCrop:
    """Pack RGB pixels and their 0/255 mask."""
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    ok2, png = cv2.imencode(".png", mask_255)
    if not (ok and ok2):
        raise InputError("the support crop cannot be encoded")
    return SupportCrop(jpeg.tobytes(), png.tobytes(), sha256)


def decode_crop(crop: SupportCrop, label: str) -> SupportImage:
    """A kept crop as a support picture again. Raises :class:`CorruptError` when it cannot be decoded."""
    image = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
    mask = cv2.imdecode(np.frombuffer(crop.mask_png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None or mask is None or image.shape[:2] != mask.shape:
        raise CorruptError(f"support crop {label} is damaged; check the bank with: airside bank verify")
    return SupportImage(label, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), mask > 127)
