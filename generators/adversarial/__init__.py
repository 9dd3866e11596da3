"""Generative adversarial networks: one judged by whole volumes, one by their slices alone."""
