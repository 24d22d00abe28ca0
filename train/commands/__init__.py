"""Verbs of the training stage."""
