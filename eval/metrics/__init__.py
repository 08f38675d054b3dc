"""Metrics as pure functions with an accumulator each, tested against other people's implementations."""
