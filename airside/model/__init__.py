"""The network: backbone, LoRA, depth decoder, bird's-eye-view head. Needs torch (extra `model`)."""
