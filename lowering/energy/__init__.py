"""Passes on local energies: an operator and a wavefunction in one module."""
