"""Where tests keep what takes long to make: in the checkout, from run to run, as a user's is kept in the home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache"


@pytest.fixture(scope="session", autouse=True)
def build_cache() -> Iterator[Path]:
    """In the checkout instead of the user's home; a conftest that imports it has it for its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(CACHE))
        yield CACHE
