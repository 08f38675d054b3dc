"""The network: backbone, LoRA, depth decoder, bird's-eye-view head. Needs torch (extra ``model``)."""

from airside.model.backbone import Backbone, load_backbone, random_backbone
from airside.model.bev import LiftSplat, SimpleBev
from airside.model.depth_anything import DepthAnything, load_depth_anything
from airside.model.dpt import DptDecoder
from airside.model.features import FeatureSpec

__all__ = [
    "Backbone",
    "DepthAnything",
    "DptDecoder",
    "FeatureSpec",
    "LiftSplat",
    "SimpleBev",
    "load_backbone",
    "load_depth_anything",
    "random_backbone",
]
