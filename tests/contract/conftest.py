"""The mocked computer of the tests of device windows, and the namespace of those of ports."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard
from tests.harness.needs import need_root
from tests.harness.programs import ip
from vnetcard.port.netns import inside

_names = itertools.count()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


@pytest.fixture
def netns() -> Iterator[str]:
    """A network namespace in which the kernel sends no IPv6 packets of its own."""
    need_root()
    name = f"vnc-port-{os.getpid()}-{next(_names)}"
    ip("netns", "add", name)
    try:
        with inside(name):
            for scope in ("all", "default"):
                with contextlib.suppress(OSError):
                    Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
        yield name
    finally:
        ip("netns", "del", name)
