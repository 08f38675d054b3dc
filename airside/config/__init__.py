"""Rig and site settings: strict YAML to frozen dataclasses."""

from airside.config.rig import CameraConfig, MountConfig, RigConfig, load_rig
from airside.config.site import SiteConfig, load_site, site_from_text, site_text
from airside.config.strict import checked, load_settings

__all__ = [
    "CameraConfig",
    "MountConfig",
    "RigConfig",
    "SiteConfig",
    "checked",
    "load_rig",
    "load_settings",
    "load_site",
    "site_from_text",
    "site_text",
]
