"""The mocked computer of the tests of device windows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)
