"""Fixtures of the unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit import link_harness
from tests.unit.fake_machine import FakeMachine


@pytest.fixture(params=["coherent", "checked"])
def memory_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on RAM, and again on memory that reorders stores as a device's memory may."""
    monkeypatch.setattr(link_harness, "KIND", request.param)
    kind: str = request.param
    return kind


@pytest.fixture
def board(tmp_path: Path) -> FakeMachine:
    """A machine without a device, for the tests of the doctor."""
    return FakeMachine(tmp_path)
