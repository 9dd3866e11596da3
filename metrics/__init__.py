"""Descriptors of porous volumes, distances between ensembles of them, and the scores that tables print."""
