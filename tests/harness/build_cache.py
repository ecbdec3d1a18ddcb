"""Where the tests keep the results of long builds: in the checkout, from run to run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from vnetcard.sim.build_cache import BuildCache

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache"
TEST_BUILDS: Final = BuildCache("tests", "what the tests build", keep=4)


@pytest.fixture(scope="session", autouse=True)
def build_cache() -> Iterator[Path]:
    """Put the user's cache into the checkout, for the folder of each conftest that imports this fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(CACHE))
        yield CACHE
