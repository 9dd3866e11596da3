"""An autoregressive network that draws voxels group by group, each group seeing those before."""
