"""The gate: is this variant no worse than the model it came from?"""
