"""Where the tests of the simulator keep their builds."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def build_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the user's cache into the checkout, where it is kept from run to run."""
    cache = ROOT / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache
