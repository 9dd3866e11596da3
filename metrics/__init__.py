"""Descriptors of porous volumes, distances between ensembles of them, and the scores that tables print."""

if __name__ == "metrics":
    raise ImportError("import porebench.metrics, not metrics: a second copy of its classes matches none")
