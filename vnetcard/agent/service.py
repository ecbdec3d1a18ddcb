"""How an agent talks to whoever started it: a readiness line, sd_notify, and its log."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import time

from vnetcard.agent.config import Config


class _JsonFormatter(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "program": self._program,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if code := getattr(record, "code", None):
            line["code"] = code
        return json.dumps(line)


def logger(config: Config) -> logging.Logger:
    """The agent's log on stderr: ``program: message``, or JSON objects, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter(f"{config.program}: %(message)s")
    handler.setFormatter(_JsonFormatter(config.program) if config.json_log else plain)
    log = logging.getLogger(f"vnetcard.{config.program}")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(config.log_level.upper())
    return log


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)) when it asked for it; a name that starts with @ is abstract."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


class Watchdog:
    """systemd's watchdog (WatchdogSec=): ``beat`` often, and it is told when it wants to hear from us."""

    def __init__(self) -> None:
        asked = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = int(asked) / 3e6 if asked.isdigit() and meant else None
        self._next = 0.0

    def beat(self) -> None:
        """This process is alive and gets on."""
        if self._every is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            notify("WATCHDOG=1")


def announce(config: Config, window_url: str) -> None:
    """The interface is there: one line on stdout, and READY=1."""
    addresses = " ".join(str(address) for address in config.addresses) or "no address"
    place = f" in {config.netns}" if config.netns else ""
    with contextlib.suppress(OSError):
        print(
            f"{config.program} ready: {config.name} {addresses}{place} on {window_url} (pid {os.getpid()})", flush=True
        )
    notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=waiting for the peer")
