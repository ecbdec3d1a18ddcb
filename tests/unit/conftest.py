"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from tests.unit import link_harness


@pytest.fixture(params=["coherent", "checked"])
def memory_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The worlds of the test stand on RAM, and then on memory that is as disorderly as a device's may be."""
    monkeypatch.setattr(link_harness, "KIND", request.param)
    kind: str = request.param
    return kind
