"""Pictures in: safe decoding, the camera protocol and its sources, and the fit to the network's size."""
