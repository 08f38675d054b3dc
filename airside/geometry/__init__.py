"""Frames and rigid transforms, the pinhole camera, and the ground plane."""
