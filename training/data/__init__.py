"""Readers of other people's data sets in their own layouts."""
