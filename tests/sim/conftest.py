"""What the tests of the simulator share with those of the agents, and where they keep what they build."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def build_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the checkout instead of the user's home; kept from run to run, as a user's is."""
    cache = ROOT / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache
