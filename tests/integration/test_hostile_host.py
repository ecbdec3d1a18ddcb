"""A host that is hostile in any way: `vnetcard stack`, under sanitizers, lives on and serves an honest host afterwards.

It is the firmware's own C code (firmware/) over lwIP, as the card; the host is tests/adversary/peer.c.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.adversary import decks
from tests.adversary.modes import MODES, Mode
from tests.adversary.peer import Card
from tests.harness.build_cache import build_cache  # noqa: F401 - for the stack
from tests.harness.faulty_peer import echo_request
from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import LIMIT
from tests.unit.c_build import ASAN, seed
from vnetcard.firmware import build
from vnetcard.link.session import LinkSession
from vnetcard.ring import layout as L
from vnetcard.window import open_window

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("build_cache")]

ADDRESS = "10.10.10.1/24"
"""Of the stack, though it is the card: the records of tests/adversary/decks.py go there."""
ATTACK_S, CAMPAIGN_S = 0.05, 3.0
ROUNDS = 300
"""Least rounds of each attack, on a busy machine."""
FLAGS = (*ASAN, "-DVNC_SIDE_PAUSE_MAX_MS=10u")
"""Short pauses, since the stack does not read the host during them."""
SANITIZED = """
import sys
from vnetcard.firmware import build
build.FLAGS = (*build.FLAGS, *{flags!r})
from vnetcard.cli.main import main
sys.exit(main())
"""
GET_ECHO = decks.record(echo_request(1)), decks.record(decks.ip4(bytes((0, 9, 0, 7, 0, 16, 0, 0)) + bytes(8)))
"""Upon which the stack sends: an echo request, and a datagram to the echo port."""


class Stack:
    """A stack as the card of the window ``url``; its library is built with the sanitizers, which end it with words."""

    def __init__(self, url: str, errors: Path) -> None:
        self._errors = errors
        runtime = subprocess.run(
            [need("gcc"), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        )
        script = SANITIZED.format(flags=FLAGS)
        command = [sys.executable, "-c", script, "stack", "--window", url, "--address", ADDRESS, "--json"]
        env = {
            "LD_PRELOAD": runtime.stdout.strip(),
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        with errors.open("w") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=os.environ | env
            )

    def ask(self, command: str) -> dict[str, Any]:
        """Give one command that prints one row; the row."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pytest.fail(f"the stack has ended: {self._errors.read_text()}")
        if not select.select([self._process.stdout], [], [], 2 * LIMIT)[0]:
            pytest.fail(f"the stack does not answer to {command!r}")
        line = self._process.stdout.readline()
        assert line, f"the stack has ended: {self._process.wait(LIMIT)} {self._errors.read_text()}"
        row: dict[str, Any] = json.loads(line)
        return row

    def close(self) -> int:
        """End it; its exit status."""
        self._process.terminate()
        self._process.communicate(timeout=LIMIT)
        return self._process.returncode


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a window for whose stack everything is built."""
    if not (build.LWIP / "lwip/netif.h").exists():
        skip_or_fail("lwIP is missing: scripts/system-packages.sh test")
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, *FLAGS))
    build.library(lambda text: None)
    return f"shm:vnetcard-hostile-host-{os.getpid()}"


def window_of(url: str) -> Path:
    return Path("/dev/shm", url.removeprefix("shm:"))


@pytest.fixture
def stack(url: str, tmp_path: Path) -> Iterator[Stack]:
    with contextlib.closing(open_window(url, side=L.HOST, queue_bytes=1 << 20)):
        stack = Stack(url, tmp_path / "errors")
        try:
            assert stack.ask("echo")["kind"] == "echo" and stack.ask("discard")["kind"] == "discard"
        except BaseException:
            stack.close()
            raise
    yield stack
    try:
        assert stack.close() == 0, (tmp_path / "errors").read_text()
        assert not window_of(url).exists(), "the last side removes the window"
    finally:
        window_of(url).unlink(missing_ok=True)


def attack(stack: Stack, url: str, mode: Mode, seconds: float, number: int) -> None:
    """Be hostile in this way, with at least one record where it has any; the stack must answer meanwhile and after."""
    records = (*mode.attack.records, *GET_ECHO) if mode.traffic else mode.attack.records
    host = Card(window_of(url), L.HOST)
    began = time.monotonic()
    try:
        host.start(replace(mode.attack, records=records, pause_us=50), seed=number)
        while time.monotonic() < began + seconds or host.rounds < ROUNDS or (mode.attack.records and not host.produced):
            assert time.monotonic() < began + seconds + LIMIT, f"{mode.name}: the hostile host does not run"
            time.sleep(0.01)
        stack.ask("link")
    finally:
        host.stop()
        if mode.header:
            host.restore_header()
        host.close()
    stack.ask("netstat")


def serves_an_honest_host(url: str) -> bool:
    """Does the stack answer a ping of a correct host, once its pause is over?"""
    with LinkSession(url, L.HOST) as host:
        host.wait_up(2 * LIMIT)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            host.send(echo_request(1))
            if host.receive(timeout=0.2):
                return True
    return False


def test_stack_bears_every_mode_and_serves_an_honest_host_afterwards(stack: Stack, url: str) -> None:
    number = seed()
    for mode in MODES:
        attack(stack, url, mode, ATTACK_S, number)
    assert serves_an_honest_host(url)


@pytest.mark.campaign
@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_stack_bears_a_mode_for_a_while_and_serves_an_honest_host_after_each(
    stack: Stack, url: str, mode: Mode
) -> None:
    attack(stack, url, mode, CAMPAIGN_S, seed())
    assert serves_an_honest_host(url)
