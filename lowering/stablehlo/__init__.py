"""Passes on StableHLO: kernels of branch tensors, and what makes them faster."""
