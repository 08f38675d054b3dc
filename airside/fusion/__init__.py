"""Region + depth + ground -> object in the ego frame; patches -> bird's-eye layers."""
