"""The mathematics of sknet: layers, losses, optimizers and training on NumPy arrays."""
