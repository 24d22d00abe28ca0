"""Verbs of the conversion stage."""
