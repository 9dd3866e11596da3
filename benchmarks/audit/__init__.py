"""Keeping track of results: their status, comparison with a new run, estimate of the time of a run."""
