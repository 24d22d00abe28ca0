"""Cross-validation: K trainings, each tested on images that it has not seen, and what they say."""
