"""How good airside is: metrics, benchmarks, reports. Offline code: run from a checkout with ``python -m eval...``."""
