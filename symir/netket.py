"""What NetKet takes in place of its own.

```python
from symir.netket import ARDirectSampler

vstate = netket.vqs.MCState(ARDirectSampler(hilbert), model, n_samples=1024)
```
"""

from symir.interop.netket_samplers import ARDirectSampler

__all__ = ["ARDirectSampler"]
