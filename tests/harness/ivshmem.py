"""A running ``vnetcard ivshmem-server``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.harness.programs import VNETCARD, started


@contextlib.contextmanager
def ivshmem_server(folder: Path) -> Iterator[Path]:
    """The socket of a server that takes clients, in ``folder``."""
    socket = folder / "card.sock"
    with started([*VNETCARD, "ivshmem-server", str(socket)]) as serving:
        assert serving.stdout is not None and " ready: " in serving.stdout.readline()
        yield socket
