"""Two published protocols, repeated beside leak-free ones: `python -m train.reproduction`.

What differs between the two columns of a table is only how the images were shared out.
"""
