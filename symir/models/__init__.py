"""Models of physics, each a short function that reads like its formula.

```python
from symir import models

chain = [(i, (i + 1) % 8) for i in range(8)]
hamiltonian = models.transverse_field_ising(8, chain, J=-1.0, h=0.5)
```

Bonds are pairs of sites, or a graph of NetKet or networkx. Couplings are numbers, or
symbols such as `symbol("h", default=1.0)` that are bound when the operator runs. No
model needs JAX or NetKet.
"""

from symir.models.bosons import bose_hubbard, dicke
from symir.models.fermions import fermi_hubbard, syk, syk_couplings, t_j
from symir.models.gauge import plaquettes, stars, toric_code, z2_gauge
from symir.models.spins import (
    clock,
    heisenberg,
    j1_j2,
    kitaev_honeycomb,
    long_range_ising,
    potts,
    pxp,
    rydberg,
    transverse_field_ising,
    xxz,
)

__all__ = [
    "bose_hubbard",
    "clock",
    "dicke",
    "fermi_hubbard",
    "heisenberg",
    "j1_j2",
    "kitaev_honeycomb",
    "long_range_ising",
    "plaquettes",
    "potts",
    "pxp",
    "rydberg",
    "stars",
    "syk",
    "syk_couplings",
    "t_j",
    "toric_code",
    "transverse_field_ising",
    "xxz",
    "z2_gauge",
]
