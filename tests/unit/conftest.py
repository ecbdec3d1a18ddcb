"""Fixtures of the unit tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit import link_harness
from tests.unit.fake_machine import FakeMachine
from tests.unit.fifo_harness import FIFO, GEOMETRY, guarded_memory
from tests.unit.memories import KINDS
from tests.unit.status_answers import view
from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo


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


@pytest.fixture(params=KINDS)
def memory(request: pytest.FixtureRequest) -> Memory:
    """The window of a FIFO, in each kind of memory."""
    return guarded_memory(request.param)


@pytest.fixture
def producer(memory: Memory) -> Fifo:
    """The producer's end of the FIFO."""
    return Fifo(memory, GEOMETRY, FIFO, role="producer")


@pytest.fixture
def consumer(memory: Memory) -> Fifo:
    """The consumer's end of the same FIFO."""
    return Fifo(memory, GEOMETRY, FIFO, role="consumer")


@pytest.fixture
def answers() -> list[dict[str, Any]]:
    """The answers of both agents of a link at rest."""
    return [view(L.HOST), view(L.CARD)]
