"""airside: notices what an airport vehicle has never been shown."""

__version__ = "0.1.0"
