"""Every pass on `sym` keeps the meaning: random operators, all their configurations."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

