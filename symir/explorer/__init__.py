"""The compiler explorer: one page that shows an operator at every level.

`symir.explore(operator, path)` and `symir explore FILE` write it.
"""

from symir.explorer.writing import explore

__all__ = ["explore"]
