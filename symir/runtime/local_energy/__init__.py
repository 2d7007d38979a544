"""Local energies: an operator and a wavefunction as one kernel.

The compiler has both sides as IR, and decides how each part of log psi changes
(`lowering/energy`, `symir/compiler/local_energy.py`). Here that is carried out:
what users call is in `energy.py`, what runs for given types in `program.py`, declared
models in `declared_parts.py`, and derivatives in `derivatives.py`.
"""

from symir.runtime.local_energy.energy import LocalEnergy, local_energy

__all__ = ["LocalEnergy", "local_energy"]
