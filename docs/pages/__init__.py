"""The pages that are generated."""
