"""Engines run a model bundle: pictures in, patch tokens out."""
