"""Making results: fit, draw, describe, score."""
