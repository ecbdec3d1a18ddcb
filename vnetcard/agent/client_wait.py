"""Waiting for an agent's answer: long where it is busy, not long where it is stopped."""

from __future__ import annotations

import select
import socket
import struct
import time
from pathlib import Path
from typing import Final

ANSWER_LIMIT: Final = 5.0
"""Seconds that a client waits for an agent that runs."""
STOPPED_LIMIT: Final = 0.5
"""Seconds that it waits for one that is stopped: long enough for one that is only stopped now and then."""
LOOK_EVERY: Final = 0.05
"""Seconds between two looks whether it is stopped."""
_UCRED: Final = struct.Struct("iII")


class NoAnswer(TimeoutError):
    """Somebody listens, and does not answer; the message says who, and why."""


def await_answer(client: socket.socket) -> None:
    """Return once there is something to read from an agent that was asked; NoAnswer when there will not be."""
    pid, _, _ = _UCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    poll = select.poll()
    poll.register(client, select.POLLIN)
    began = time.monotonic()
    while not poll.poll(LOOK_EVERY * 1000):
        waited = time.monotonic() - began
        if waited > STOPPED_LIMIT and stopped(pid):
            raise NoAnswer(f"(pid {pid}) is stopped: kill -CONT {pid} lets it go on")
        if waited > ANSWER_LIMIT:
            raise NoAnswer(f"(pid {pid}) does not answer within {ANSWER_LIMIT:.0f} s: it hangs")


def stopped(pid: int) -> bool:
    """Is it stopped by a signal, or by a debugger?"""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("T", "t")
