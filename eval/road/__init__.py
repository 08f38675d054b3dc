"""``python -m eval.road``: airside, or anybody's score maps, on the road-anomaly benchmarks."""
