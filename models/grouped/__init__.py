"""Grouped training: many networks of one shape, folds and seeds, trained as one program on a GPU."""
