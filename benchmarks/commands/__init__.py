"""Verbs of the benchmarks."""
