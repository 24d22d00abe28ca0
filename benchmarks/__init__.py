"""How fast and how large a bundle is on the machine at hand."""
