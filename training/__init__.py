"""Off-line: the apron simulator, data sets, losses and training recipes (``python -m training...``)."""
