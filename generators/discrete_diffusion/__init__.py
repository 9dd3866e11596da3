"""Discrete diffusion: a network that uncovers the voxels of a volume in random order, a few at first."""
