"""What else airside-mini's network could hand out as a patch's description: tokens of several blocks, attention keys.

A bundle gives the last tokens only, so this runs the network itself (torch) from the weights that training keeps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps, Engine, NetworkOutput
from airside.errors import InputError, MismatchError, UnavailableError, UsageError
from airside.geometry.bev_view import BevView

FEATURES = ("last", "blocks:3,5", "blocks:1,2,4,5", "keys")
FAMILIES = "families.weight"
SAME_COSINE = 0.99  # between the bundle's tokens and the weights', which are kept in half precision


class MiniFeatures:
    """airside-mini with one choice of feature, as an engine; tokens of unit length."""

    def __init__(self, weights: Path, like: Manifest, feature: str) -> None:
        """Raises :class:`UnavailableError` without torch, :class:`InputError` where ``weights`` cannot be read,
        :class:`MismatchError` where they are another network's."""
        try:
            import torch
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            from airside.model.features import FeatureKind, FeatureSpec
            from training.network import Mini, MiniConfig
        except ImportError as error:
            raise UnavailableError(f"--weights needs the network itself ({error}): pip install -e '.[model]'") from None
        try:
            kept = load_file(weights)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{weights} cannot be read ({error}); make it with: python -m training.start") from None
        network = Mini(MiniConfig())
        own = {k.removeprefix("network."): v.float() for k, v in kept.items() if k.startswith("network.")}
        try:
            network.load_state_dict(own)
        except RuntimeError:
            raise MismatchError(f"{weights} does not hold the weights of airside-mini") from None
        self._torch, self._trunk, self._spec = torch, network.trunk.eval(), FeatureSpec.parse(feature)
        self._keys = self._spec.kind is FeatureKind.KEYS
        blocks = self._spec.blocks if self._spec.kind is FeatureKind.BLOCKS else (len(self._trunk.blocks) - 1,)
        self._blocks = blocks
        width = network.config.width * (1 if self._keys else len(blocks))
        self._manifest = replace(like, token_width=width, feature=feature, fingerprint=f"{like.fingerprint} {feature}")

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        """[N, H, W, 3] uint8 -> [N, Hp, Wp, C] float32, unit length."""
        from training.network import normalise, token_levels

        with self._torch.inference_mode():
            pictures = normalise(self._torch.from_numpy(images))
            if self._keys:
                found = self._last_keys(pictures)
            else:
                found = self._torch.cat(token_levels(self._trunk, pictures, self._blocks)[:-1], dim=-1)
            return np.asarray(self._torch.nn.functional.normalize(found.float(), dim=-1).numpy())

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        return NetworkOutput(self.tokens(images), None)

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        raise UsageError("features have no bird's-eye view")

    def _last_keys(self, pictures):  # type: ignore[no-untyped-def]
        from airside.model.attention import attention_keys
        from training.network import patch_tokens

        before = []
        last = self._trunk.blocks[-1]
        hook = last.register_forward_pre_hook(lambda _, inputs: before.append(inputs[0]))
        try:
            grid = patch_tokens(self._trunk, pictures).shape[1:3]
        finally:
            hook.remove()
        return attention_keys(last, before[0])[:, -grid[0] * grid[1] :].unflatten(1, grid)

    def require_same(self, engine: Engine) -> None:
        """Raise :class:`MismatchError` unless ``engine``'s last tokens are those of these weights."""
        rng = np.random.default_rng(0)
        m = engine.manifest
        picture = rng.integers(0, 255, (1, m.height_px // 14, m.width_px // 14, 3), np.uint8)
        picture = picture.repeat(14, axis=1).repeat(14, axis=2)
        cosine = float((engine.tokens(picture) * self.tokens(picture)).sum(axis=-1).min())
        if cosine < SAME_COSINE:
            raise MismatchError(f"--weights are not those of the bundle: their tokens' cosine falls to {cosine:.3f}")


def mini_features(weights: Path, engine: Engine) -> dict[str, MiniFeatures]:
    """:data:`FEATURES` of the network in ``weights``, which must be ``engine``'s; raises as :class:`MiniFeatures`."""
    m = engine.manifest
    found = {feature: MiniFeatures(weights, m, feature) for feature in FEATURES}
    if found["last"].manifest.token_width != m.token_width or (m.height_px, m.width_px) != (224, 392):
        raise MismatchError("--weights are airside-mini's; the bundle is of another network")
    found["last"].require_same(engine)
    return found


def trained_classifier(weights: Path) -> np.ndarray:
    """One direction [families, C] for each family the network was trained to tell, background included.

    Raises :class:`InputError` where ``weights`` keep none.
    """
    from safetensors.numpy import load_file

    kept = load_file(weights)
    if FAMILIES not in kept:
        raise InputError(f"{weights} keeps no {FAMILIES}: it was not written by training.start")
    return np.asarray(kept[FAMILIES], np.float32)
