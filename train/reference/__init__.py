"""The reference model: the data it is trained on, the search for a recipe, and the recipe.

Unlike the rest of the toolkit this is about particular public collections.
"""
