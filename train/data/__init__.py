"""Labelled images: reading them, describing them, splitting them, and caching them as tensors."""
