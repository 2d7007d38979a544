"""Every construct, printed and read again, is the same IR."""

from __future__ import annotations

import pytest

from symir import SymbolicOperatorIR
from tests.unit.symir.constructs import CONSTRUCTS


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_construct_is_read_as_it_is_printed(name: str) -> None:
    ir = CONSTRUCTS[name](3).to_ir()
    ir.module.verify()
    again = SymbolicOperatorIR.from_text(ir.text())
    assert again.text() == ir.text()
    again.module.verify()
