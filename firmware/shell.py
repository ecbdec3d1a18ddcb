"""The shell of ``vnetcard stack``: one command per line."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.firmware.stack import LWIP_ERRORS, Stack

HELP: Final = """\
ping ADDRESS [SIZE [COUNT]]     echo requests, 10 ms apart (default: 5 of 56 bytes)
arp, route, netstat, link       tables of the stack, and the state of the link
echo [PORT], discard [PORT]     serve TCP and UDP (default: 7 and 9)
iperf server [PORT]             count what an iperf 2 client sends (default: port 5001)
iperf ADDRESS [SECONDS [PORT]]  send a TCP stream, as an iperf 2 client (default: 5 s)
services                        what the served ports have received
up [SECONDS]                    wait until the link is up (default: 10)
wait [SECONDS]                  only serve, by default until a signal
quit
"""
STEP_S: Final = 0.1
"""Seconds for which the stack runs between two checks for input or a result."""
PING_WAIT_S: Final = 2.0
Row = dict[str, object]


class Shell:
    """Runs commands on ``stack`` and prints their results, as JSON objects on request."""

    def __init__(self, stack: Stack, *, as_json: bool, stopped: Callable[[], bool]) -> None:
        """``stopped`` becomes true when a signal ends the program."""
        self._stack, self._json, self._stopped = stack, as_json, stopped
        self.failed = False
        """Whether a command has had a negative result."""

    def run(self, line: str) -> bool:
        """Run one line; False for ``quit``.  ConfigError for a line that is no command."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ConfigError(f"{line.strip()!r}: {error}") from error
        if not words:
            return True
        name, *rest = words
        if name in ("quit", "exit"):
            return False
        command = getattr(self, f"_do_{name}", None)
        if command is None:
            raise ConfigError(f"unknown command {name!r}: help lists them")
        try:
            inspect.signature(command).bind(*rest)
        except TypeError as error:
            raise ConfigError(f"{name}: wrong number of arguments: help lists the commands") from error
        command(*rest)
        return True

    def interact(self, fd: int, prompt: str) -> None:
        """Run the lines from ``fd`` until its end, ``quit`` or a signal."""
        rest, ended = b"", False
        while not self._stopped():
            print(prompt, end="", flush=True)
            while b"\n" not in rest and not ended:
                if self._stack.poll(STEP_S, fd):
                    data = os.read(fd, 1 << 16)
                    rest, ended = rest + data, not data
                if self._stopped():
                    return
            if not rest:
                return
            line, _, rest = rest.partition(b"\n")
            try:
                if not self.run(line.decode(errors="replace")):
                    return
            except ConfigError as error:
                self.failed = True
                print(f"error: {error}", file=sys.stderr, flush=True)

    # --- commands ------------------------------------------------------------------------------------

    def _do_help(self) -> None:
        print(HELP, end="")

    def _do_ping(self, address: str, size: str = "56", count: str = "5") -> None:
        target, total = address_of(address), number(count, 1, 30_000)
        self._stack.start_ping(target, size=number(size, 0, 65_507), count=total, interval=0.01, wait=PING_WAIT_S)
        self._until(lambda: not self._stack.ping().running)
        got = self._stack.ping()
        self.failed |= got.received < total or got.damaged > 0
        average = got.sum_us / got.received if got.received else 0.0
        row: Row = {"target": str(target), "size": int(size), "sent": got.sent, "received": got.received}
        row |= {"damaged": got.damaged, "min_ms": got.min_us / 1e3, "avg_ms": average / 1e3, "max_ms": got.max_us / 1e3}
        loss = 100 * (1 - got.received / total)
        times = f"rtt {got.min_us / 1e3:.3f}/{average / 1e3:.3f}/{got.max_us / 1e3:.3f} ms (min/avg/max)"
        damaged = f", {got.damaged} damaged" if got.damaged else ""
        counts = f"{got.received} of {total}, {loss:g} % loss{damaged}"
        self._print("ping", row, f"{target}: {size} bytes: {counts}, {times}")

    def _do_arp(self) -> None:
        self._table("arp", ("address", "mac", "interface"))

    def _do_route(self) -> None:
        self._table("route", ("network", "mask", "gateway", "interface"))

    def _do_netstat(self) -> None:
        self._table("netstat", ("protocol", "local", "remote", "state"))

    def _do_link(self) -> None:
        link = self._stack.link()
        row: Row = {"state": link.state.name.lower(), "up": link.up, "mtu": link.mtu, "epoch": link.epoch}
        row |= {"no_pbuf": link.no_pbuf, "ring_full": link.ring_full}
        text = f"link {row['state']}, carrier {'on' if link.up else 'off'}, MTU {link.mtu}"
        self._print("link", row, f"{text}, {link.no_pbuf} without a buffer, {link.ring_full} at a full ring")

    def _do_echo(self, port: str = "7") -> None:
        self._serve("echo", port)

    def _do_discard(self, port: str = "9") -> None:
        self._serve("discard", port)

    def _do_iperf(self, address: str, seconds: str = "", port: str = "5001") -> None:
        if address == "server":
            self._serve("discard", seconds or "5001")
            return
        target = address_of(address)
        self._stack.start_load(target, number(port, 1, 65_535), number(seconds or "5", 1, 86_400))
        self._until(lambda: not self._stack.load().running)
        got = self._stack.load()
        self.failed |= bool(got.error)
        rate = 8 * got.bytes / got.ms / 1000 if got.ms else 0.0
        row: Row = {"target": str(target), "bytes": got.bytes, "ms": got.ms, "mbit_s": rate}
        row |= {"error": LWIP_ERRORS.get(got.error, f"lwIP error {got.error}") if got.error else ""}
        text = f"{target}: {got.bytes} bytes in {got.ms / 1000:.2f} s, {rate:.0f} Mbit/s"
        self._print("iperf", row, f"{target}: {row['error']}" if got.error else text)

    def _do_services(self) -> None:
        for one in self._stack.services():
            kind = ("echo", "discard")[one.kind]
            row: Row = {"kind": kind, "port": one.port, "connections": one.connections, "open": one.open}
            row |= {"tcp_bytes": one.tcp_bytes, "udp_bytes": one.udp_bytes}
            text = f"{kind} {one.port}: {one.connections} connections, {one.open} open"
            self._print("services", row, f"{text}, {one.tcp_bytes} bytes by TCP, {one.udp_bytes} by UDP")

    def _do_up(self, seconds: str = "10") -> None:
        self._until(lambda: self._stack.link().up, number(seconds, 0, 86_400))
        self.failed |= not self._stack.link().up
        self._do_link()

    def _do_wait(self, seconds: str = "") -> None:
        self._until(lambda: False, number(seconds, 0, 86_400) if seconds else None)

    # --- their parts ---------------------------------------------------------------------------------

    def _until(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Run the stack until ``done``, a signal, or ``seconds`` are over."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._stopped() and not done() and (end is None or time.monotonic() < end):
            self._stack.poll(0.01 if end is None else max(0.001, min(0.01, end - time.monotonic())))

    def _serve(self, kind: str, port: str) -> None:
        at = number(port, 1, 65_535)
        self._stack.serve(kind, at)
        self._print("serve", {"kind": kind, "port": at}, f"{kind} serves port {port}")

    def _table(self, which: str, columns: tuple[str, ...]) -> None:
        rows = [dict(zip(columns, row, strict=False)) for row in self._stack.table(which)]
        widths = {name: max(len(name), *(len(row[name]) for row in rows), 0) for name in columns} if rows else {}
        for row in [dict(zip(columns, columns, strict=True)), *rows] if rows and not self._json else []:
            print("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip(), flush=True)
        for row in rows if self._json else []:
            self._print(which, dict(row), "")

    def _print(self, command: str, row: Row, text: str) -> None:
        print(json.dumps({"command": command} | row) if self._json else text, flush=True)


def number(text: str, least: int, most: int) -> int:
    """A decimal number in a range; ConfigError."""
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise ConfigError(f"{text!r} is out of range ({least} to {most})", code=ErrorCode.OUT_OF_RANGE)
    return int(text)


def address_of(text: str) -> IPv4Address:
    """An IPv4 address; ConfigError."""
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no IPv4 address", code=ErrorCode.BAD_ADDRESS) from error
