"""Off-line: banks made from labelled pictures (``python -m prototypes build``)."""
