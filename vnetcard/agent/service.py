"""What an agent reports to the process that started it: a readiness line, sd_notify, its log, its failure."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import sys
import time

from vnetcard.agent.config import Config
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.terminal import limits
from vnetcard.terminal.arguments import complain


class _JsonFormatter(logging.Formatter):
    """One object per line; ``code`` where the record reports an error, a link reason or a problem."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "program": self._program,
            "pid": record.process,
            "message": record.getMessage(),
        }
        code = getattr(record, "code", None)
        if code is not None:
            line["code"] = str(code)
        return json.dumps(line)


def logger(config: Config) -> logging.Logger:
    """The agent's log on stderr: ``program: message``, or one JSON object per line."""
    return _logger(config.program, as_json=config.json_log, level=config.log_level)


def _logger(program: str, *, as_json: bool, level: str) -> logging.Logger:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(program) if as_json else logging.Formatter(f"{program}: %(message)s"))
    log = logging.getLogger(f"vnetcard.{program}")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(level.upper())
    logging.raiseExceptions = False  # a full disk or a closed pipe below stderr ends no agent
    return log


def explained(error: Exception) -> VnetcardError | None:
    """``error`` as one of ours, where a limit of the system is its cause; None for a defect of this program."""
    if isinstance(error, VnetcardError):
        below = error.__cause__
        if isinstance(below, OSError) and below.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            return PortUnavailable(f"{error}: {limits.name_of(below)}", code=ErrorCode.RESOURCE_LIMIT)
        return error
    cause = error
    if isinstance(error, MemoryError):
        cause = OSError(errno.ENOMEM, "")
    elif isinstance(error, RuntimeError) and "start new thread" in str(error):
        cause = OSError(errno.EAGAIN, "")
    limit = limits.name_of(cause) if isinstance(cause, OSError) else None
    return PortUnavailable(limit, code=ErrorCode.RESOURCE_LIMIT) if limit else None


def report_failure(program: str, error: VnetcardError, *, as_json: bool) -> None:
    """The last line of an agent that cannot go on; lost where stderr cannot be written."""
    if as_json:
        _logger(program, as_json=True, level="error").error("%s", error, extra={"code": error.code})
        return
    with contextlib.suppress(OSError, AttributeError):
        complain(program, error)


def notify(state: str) -> None:
    """Send ``state`` to systemd (sd_notify(3)) if it has set NOTIFY_SOCKET; a name that starts with @ is abstract."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


class Watchdog:
    """systemd's watchdog (WatchdogSec=): call ``beat`` often; it notifies systemd at a third of the interval."""

    def __init__(self) -> None:
        asked = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = int(asked) / 3e6 if asked.isdigit() and meant else None
        self._next = 0.0

    def beat(self) -> None:
        """Report that this process is alive, if it is time for it."""
        if self._every is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            notify("WATCHDOG=1")


def announce(config: Config, name: str, window_url: str) -> None:
    """Report that the interface ``name`` is ready: one line on stdout, and READY=1."""
    addresses = " ".join(str(address) for address in config.addresses) or "no address"
    place = f" in {config.netns}" if config.netns else ""
    with contextlib.suppress(OSError):
        print(f"{config.program} ready: {name} {addresses}{place} on {window_url} (pid {os.getpid()})", flush=True)
    notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=waiting for the peer")
