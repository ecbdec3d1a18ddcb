"""What an agent reports to the process that started it: a readiness line, sd_notify, its log, its failure."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import socket
import sys
import time
from typing import Final

from vnetcard.agent.config import Config
from vnetcard.agent.line_writer import LineWriter
from vnetcard.agent.log_limit import LogLimit
from vnetcard.errors import VnetcardError
from vnetcard.terminal.arguments import complaint
from vnetcard.terminal.escape import printable

LAST_WORDS: Final = 0.1
"""Seconds that an agent which ends waits for the reader of its output."""


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


class LogOutput(logging.Handler):
    """The agent's log: bounded in each second, never waiting for its reader.  Call ``beat`` often and ``end`` last."""

    def __init__(self, program: str, *, as_json: bool) -> None:
        super().__init__()
        self._name = f"vnetcard.{program}"
        self.setFormatter(_JsonFormatter(program) if as_json else logging.Formatter(f"{program}: %(message)s"))
        self._limit: LogLimit[logging.LogRecord] = LogLimit()
        self._writer = LineWriter(2, self._dropped)

    @property
    def dropped(self) -> int:
        """Lines that were lost because the log is not read."""
        return self._writer.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``, or count it."""
        record.msg, record.args = printable(record.getMessage()), None
        if self._limit.admit(time.monotonic(), record.msg, record):
            self._writer.put(self.format(record))

    def beat(self) -> None:
        """Write what is due about lines that were withheld."""
        self._summarize(ending=False)

    def end(self) -> None:
        """Write what is left, for at most ``LAST_WORDS`` seconds."""
        self._summarize(ending=True)
        self._writer.close(LAST_WORDS)

    def _summarize(self, *, ending: bool) -> None:
        with self.lock or contextlib.nullcontext():
            for record, text in self._limit.due(time.monotonic(), ending=ending):
                self._writer.put(self._line(record, text))

    def _dropped(self, lines: int) -> str:
        return self._line(None, f"{lines:,} lines were lost because the log was not read")

    def _line(self, like: logging.LogRecord | None, text: str) -> str:
        record = logging.LogRecord(self._name, like.levelno if like else logging.WARNING, "", 0, text, None, None)
        if (code := getattr(like, "code", None)) is not None:
            record.code = code
        return self.format(record)


def open_log(program: str, *, as_json: bool, level: str) -> tuple[logging.Logger, LogOutput]:
    """The agent's log on stderr: ``program: message``, or one JSON object per line."""
    output = LogOutput(program, as_json=as_json)
    log = logging.getLogger(f"vnetcard.{program}")
    log.handlers = [output]
    log.propagate = False
    log.setLevel(level.upper())
    return log, output


class LoggedLines(io.TextIOBase):
    """Text of which each line becomes a warning of ``log``."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(None, lines):
            self._log.warning("%s", line)
        return len(text)


def log_ignored(log: logging.Logger) -> None:
    """Log what Python itself reports on stderr, such as a signal that it could not write to the wake-up pipe.

    It cannot raise such an exception; what it is about has one line, without a traceback.
    """
    sys.stderr = LoggedLines(log)
    sys.unraisablehook = lambda what: log.warning(
        "an error in %s was ignored: %s", what.object or "Python itself", what.exc_value
    )


def report_failure(program: str, error: VnetcardError, *, as_json: bool) -> None:
    """The last line of an agent that cannot go on; lost where stderr cannot be written."""
    if as_json:
        log, output = open_log(program, as_json=True, level="error")
        log.error("%s", error, extra={"code": error.code})
        output.end()
        return
    last_words(2, complaint(program, error))


def last_words(fd: int, text: str) -> None:
    """Write ``text`` and an end of line to ``fd``; waits at most ``LAST_WORDS`` seconds for its reader."""
    writer = LineWriter(fd, str)
    writer.put(text)
    writer.close(LAST_WORDS)


_unsent: dict[str, str] = {}
"""What systemd had no room for, by name."""


def notify(state: str) -> None:
    """Send ``state`` to systemd (sd_notify(3)) if it has set NOTIFY_SOCKET; a name that starts with @ is abstract.

    Never waits: what systemd has no room for is sent with a later call, as far as nothing newer replaces it.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    _unsent.update((line.partition("=")[0], line) for line in state.splitlines())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto("\n".join(_unsent.values()).encode(), socket.MSG_DONTWAIT, address)
    except BlockingIOError:
        return
    except OSError:
        pass
    _unsent.clear()


class Watchdog:
    """systemd's watchdog (WatchdogSec=): call ``beat`` often; it notifies systemd at a third of the interval."""

    def __init__(self) -> None:
        asked = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = int(asked) / 3e6 if asked.isdigit() and meant else None
        self._next = 0.0

    def beat(self) -> None:
        """Report that this process is alive, if it is time for it, and what systemd had no room for."""
        if _unsent:
            notify("")
        if self._every is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            notify("WATCHDOG=1")


def announce(config: Config, name: str, window_url: str) -> None:
    """Report that the interface ``name`` is ready: one line on stdout, and READY=1."""
    addresses = " ".join(str(address) for address in config.addresses) or "no address"
    place = f" in {config.netns}" if config.netns else ""
    line = f"{config.program} ready: {name} {addresses}{place} on {window_url} (pid {os.getpid()})"
    last_words(1, line)
    notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=waiting for the peer")
