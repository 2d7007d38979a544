"""Models of physics, each a short function that reads like its formula.

```python
from symir import models

chain = [(i, (i + 1) % 8) for i in range(8)]
hamiltonian = models.transverse_field_ising(8, chain, J=-1.0, h=0.5)
```

A space of symir or of NetKet comes first, with conserved sums or without; or a number
of sites, where these are all of one kind. Bonds are pairs of sites, or a graph of
NetKet or networkx; its colours are kinds of bonds, where a model has several. Couplings
are numbers, or symbols such as `symbol("h", default=1.0)` that are bound when the
operator runs. No model needs JAX or NetKet.
"""

from symir.models.bosons import bose_hubbard, dicke, spin_boson
from symir.models.fermions import (
    fermi_hubbard,
    majorana_syk,
    majorana_syk_couplings,
    syk,
    syk_couplings,
    t_j,
)
from symir.models.gauge import (
    divergence,
    plaquettes,
    stars,
    toric_code,
    u1_gauge,
    z2_gauge,
)
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
    "divergence",
    "fermi_hubbard",
    "heisenberg",
    "j1_j2",
    "kitaev_honeycomb",
    "long_range_ising",
    "majorana_syk",
    "majorana_syk_couplings",
    "plaquettes",
    "potts",
    "pxp",
    "rydberg",
    "spin_boson",
    "stars",
    "syk",
    "syk_couplings",
    "t_j",
    "toric_code",
    "transverse_field_ising",
    "u1_gauge",
    "xxz",
    "z2_gauge",
]
