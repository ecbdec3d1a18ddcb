"""Waiting for an agent's answer: longer for a busy agent than for one that is stopped."""

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
"""Seconds that a client waits for a stopped agent: long enough for one that is stopped for moments only."""
STOPPED_CHECK_INTERVAL: Final = 0.05
"""Seconds between two checks whether the agent is stopped."""
_UCRED: Final = struct.Struct("iII")


class NoAnswer(TimeoutError):
    """A process listens and does not answer; the message names its pid and the cause."""


def await_answer(client: socket.socket) -> None:
    """Return once the agent at the other end of ``client`` has sent something; NoAnswer after the limits above."""
    pid, _, _ = _UCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    poll = select.poll()
    poll.register(client, select.POLLIN)
    began = time.monotonic()
    while not poll.poll(STOPPED_CHECK_INTERVAL * 1000):
        waited = time.monotonic() - began
        if waited > STOPPED_LIMIT and stopped(pid):
            raise NoAnswer(f"(pid {pid}) is stopped: kill -CONT {pid} continues it")
        if waited > ANSWER_LIMIT:
            raise NoAnswer(f"(pid {pid}) does not answer within {ANSWER_LIMIT:.0f} s: it hangs")


def stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal or by a debugger."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("T", "t")
