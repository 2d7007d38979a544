"""The ways to combine values over sites, which `sym` and `bt` share."""

from xdsl.utils.str_enum import StrEnum


class Reduction(StrEnum):
    """How the values of a reduction are combined."""

    SUM = "sum"
    PROD = "prod"
    ANY = "any"
    ALL = "all"
    PARITY = "parity"

    @property
    def combines_numbers(self) -> bool:
        """Whether it is of numbers; the others are of predicates."""
        return self in (Reduction.SUM, Reduction.PROD)
