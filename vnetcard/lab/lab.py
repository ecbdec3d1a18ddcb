"""Two computers on one machine: two network namespaces with one agent each, and a window between them.

``vnetcard demo``, the bench and the tests use it.  ``close`` removes everything that was created.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self

from vnetcard.agent.control import ask, socket_path
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PeerGone, VnetcardError
from vnetcard.ring import layout as L
from vnetcard.window import WindowUrl, open_window

MODULES = ("vnetcard.x86_side.agent", "vnetcard.fpga_side.agent")
ADDRESSES = ("10.10.10.1", "10.10.10.5")
START_LIMIT = 30.0
"""Seconds for an agent to start, on a very busy machine."""
_PR_SET_PDEATHSIG = 1


class LabError(VnetcardError):
    """Raised when an agent of the lab ends, or does not reach a state in time; the message says what was seen."""

    DEFAULT = ErrorCode.AGENT_FAILED


def ip(*words: str) -> None:
    """Run ``ip`` with ``words``; raises ConfigError with its message when it fails."""
    program = shutil.which("ip")
    if program is None:
        raise ConfigError("`ip` is not installed: install the package iproute2", code=ErrorCode.TOOL_MISSING)
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"`ip {' '.join(words)}` failed: {done.stderr.strip()}")


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Called in a child process: let the kernel send it this signal when its parent ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Block SIGINT, SIGTERM and SIGHUP during the body, also for the programs that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def make_namespaces(made: contextlib.ExitStack, names: Sequence[str]) -> None:
    """Create network namespaces, all or none; closing ``made`` removes them."""
    try:
        with uninterrupted():
            for name in names:
                ip("netns", "add", name)
                made.callback(ip, "netns", "del", name)
                ip("-n", name, "link", "set", "lo", "up")
    except BaseException:
        made.close()
        raise


class Lab:
    """Two namespaces, named after ``tag`` and this process, with at most one agent in each.

    ``sides``: the sides on this machine; the other one may be in a virtual machine.  ``commands``: the command of
    each side's agent, which may be replaced.
    """

    def __init__(
        self,
        tag: str = "demo",
        *,
        window: str | None = None,
        log: IO[str] | None = None,
        sides: Sequence[int] = (L.HOST, L.CARD),
    ) -> None:
        """Create the namespaces; raises ConfigError when that is not permitted."""
        unique = f"vnetcard-{tag}-{os.getpid()}"
        self.window = window or f"shm:{unique}"
        self.url = str(WindowUrl.parse(self.window))
        self._own_window = window is None
        self.namespaces = (f"{unique}-host", f"{unique}-card")
        self.agents: list[subprocess.Popen[str] | None] = [None, None]
        self.commands = [[sys.executable, "-m", module] for module in MODULES]
        self._sides = sides
        self._log = log
        self._made = contextlib.ExitStack()
        weakref.finalize(self, self._made.close)  # for an exception between here and the caller's `with`
        make_namespaces(self._made, [self.namespaces[side] for side in sides])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, side: int, *options: str) -> None:
        """Start the agent of ``side`` and return once it is ready; raises LabError when it ends before."""
        self.launch(side, *options)
        self.await_ready(side)

    def start_port(self, side: int, url: str) -> None:
        """As ``start``, with the port ``url`` of a program, which is in no namespace."""
        self._launch(side, "--port", url)
        self.await_ready(side)

    def launch(self, side: int, *options: str) -> None:
        """Start the agent of ``side`` and return immediately."""
        self._launch(side, "--netns", self.namespaces[side], *options)

    def _launch(self, side: int, *options: str) -> None:
        arguments = ["--window", self.window, *options]
        self.agents[side] = subprocess.Popen(
            [*self.commands[side], *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log if self._log is not None else subprocess.DEVNULL,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - a lab is made by the main thread
        )

    def await_ready(self, side: int) -> None:
        """Return once the agent of ``side`` has printed that it is ready; raises LabError when it ends before."""
        agent = self.agent(side)
        assert agent.stdout is not None
        line = agent.stdout.readline()  # the ready line, or '' when the agent has ended
        if " ready: " not in line:
            raise LabError(f"the {L.SIDES[side]}'s agent ended with status {agent.wait()} before it was ready")

    def agent(self, side: int) -> subprocess.Popen[str]:
        """The running agent of ``side``; raises LabError without one."""
        agent = self.agents[side]
        if agent is None:
            raise LabError(f"no agent runs on the {L.SIDES[side]}'s side")
        return agent

    def stop(self, side: int, number: int = signal.SIGTERM, *, limit: float = 10.0) -> int:
        """End the agent of ``side`` by a signal; returns its exit status (negative: the signal that killed it)."""
        agent = self.agent(side)
        self.agents[side] = None
        with contextlib.suppress(ProcessLookupError):
            agent.send_signal(number)
        try:
            return agent.wait(limit)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
            raise LabError(f"the {L.SIDES[side]}'s agent did not end within {limit} s of signal {number}") from None
        finally:
            if agent.stdout is not None:
                agent.stdout.close()

    def status(self, side: int) -> dict[str, Any]:
        """The status of the agent of ``side``; raises PeerGone when it does not answer."""
        return ask(self.url, side, "status")

    def wait_for(self, side: int, state: str, *, limit: float = START_LIMIT) -> dict[str, Any]:
        """Return the status of ``side`` once its link is in ``state``; raises LabError after ``limit`` seconds."""
        deadline = time.monotonic() + limit
        seen = "no answer"
        while time.monotonic() < deadline:
            with contextlib.suppress(PeerGone):
                view = self.status(side)
                seen = f"{view['link']['state']}: {view['link']['reason']}"
                if view["link"]["state"] == state:
                    return view
            time.sleep(0.005)
        raise LabError(f"the {L.SIDES[side]}'s link is not '{state}' within {limit} s but '{seen}'")

    def wait_up(self, *, limit: float = START_LIMIT) -> None:
        """Return once both links run and both interfaces are up in the kernel."""
        for side in self._sides:
            self.wait_for(side, "run", limit=limit)
        self.wait_open(limit=limit)

    def wait_open(self, *, name: str | None = None, limit: float = START_LIMIT) -> None:
        """Return once the kernel has followed the carrier (linkwatch): until then it drops what is sent.

        ``name``: of the interfaces; default: what each agent says.
        """
        deadline = time.monotonic() + limit
        for side in self._sides:
            shown = name or self.wait_for(side, "run", limit=limit)["port"]["name"]
            while " state UP " not in (seen := self._link_shown(side, shown)):
                if time.monotonic() > deadline:
                    raise LabError(f"{shown} in {self.namespaces[side]} is not up: {seen}".strip())
                time.sleep(0.005)

    def _link_shown(self, side: int, name: str) -> str:
        """What ``ip`` says about an interface in the namespace of ``side``: its line, or an error."""
        command = ["ip", "-n", self.namespaces[side], "-o", "link", "show", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout or done.stderr

    def close(self) -> None:
        """End the agents; remove the namespaces and what killed agents left: window and sockets."""
        with uninterrupted():
            for side in self._sides:
                if self.agents[side] is not None:
                    with contextlib.suppress(LabError):
                        self.stop(side)
            self._sweep()
            self._made.close()

    def _sweep(self) -> None:
        """Remove what killed agents left, and nothing that a foreign agent uses."""
        for side in self._sides:
            with contextlib.suppress(VnetcardError):
                window = open_window(self.url, side=side)
                socket_path(self.url, side).unlink(missing_ok=True)
                window.close()  # the last process to close it removes it
        if self._own_window:  # also when it could not be opened
            Path("/dev/shm", self.url.removeprefix("shm:")).unlink(missing_ok=True)


def run_in(namespace: str, command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` in a network namespace."""
    return ["ip", "netns", "exec", namespace, *command]
