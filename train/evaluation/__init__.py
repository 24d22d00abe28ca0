"""Judging a trained model: figures with intervals, comparisons, subgroups, and their checks."""
