"""Flow matching: a network that carries noise to a volume in a few steps."""
