"""What `dermedge doctor` finds out: the machine, the interpreters, a bundle on them."""
