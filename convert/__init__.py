"""A run folder in, checked model files out: a bundle."""
