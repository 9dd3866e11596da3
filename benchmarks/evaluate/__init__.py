"""How results come to be: fit, draw, describe, score."""
