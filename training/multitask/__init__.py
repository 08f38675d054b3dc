"""One network for tokens, depth and the bird's-eye view, trained on pictures of whole rigs by one process or many."""
