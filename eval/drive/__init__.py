"""Simulated drives with truth: how far ahead, how exactly and how often wrongly airside speaks."""
