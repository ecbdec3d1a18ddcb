"""Lets single system calls of the host's agent fail, by strace, while it starts, runs under traffic, or stops.

The list of calls comes from a recording of an agent that starts, runs and stops; ``plan`` combines it with the errors
that the manual pages document for each.  What Python itself does before our ``main`` is not ours: the agent stops
itself there, and strace counts from then on, for each thread by itself.

``python -m tests.harness.injection --help`` sweeps over all of them.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.harness.failing_calls import ABORTED, FRIENDLY, PHASES, Injection, Recording, Result, plan, table
from tests.harness.needs import need
from tests.harness.restarts import left_behind, ping, until
from vnetcard.agent.control import borrow
from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import TapRequest

LIMIT: Final = 20.0
"""Seconds for what takes well under one, on a very busy machine."""
TRAFFIC_S: Final = 0.6
"""Seconds of traffic in which a running agent has to meet the injected failure; else it is not met."""
LAUNCH: Final = (
    "import os, signal, sys; from vnetcard.agent import agent; "
    "os.kill(os.getpid(), signal.SIGSTOP); sys.exit(agent.main(0))"
)
"""Runs the host's agent as its program does; stops itself once Python has started and imported it."""


class Injector:
    """A lab whose host agent runs under strace on demand; a context manager."""

    def __init__(self, tag: str) -> None:
        self._strace = need("strace")
        self._made = contextlib.ExitStack()
        self._folder = Path(self._made.enter_context(tempfile.TemporaryDirectory(prefix="vnc-inject-")))
        before = os.environ.get("VNETCARD_RUN_DIR")
        self._made.callback(_set_run_dir, before)
        _set_run_dir(str(self._folder / "run"))
        self.lab = self._made.enter_context(Lab(tag))
        self._stderr = self._folder / "stderr"
        self._streams: list[subprocess.Popen[bytes]] = []
        script = f'exec "$@" 2>{self._stderr}'
        self._host = ["sh", "-c", script, "sh", sys.executable, "-c", LAUNCH]
        self.lab.commands[L.HOST] = self._host

    def __enter__(self) -> Injector:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_streams()
        self._made.close()

    # --- the agent ---------------------------------------------------------------------------------------

    def _launch(self) -> int:
        """Start the host's agent up to its own first instruction; its pid."""
        self.lab.launch(L.HOST, "--json-log")
        pid = self.lab.agent(L.HOST).pid
        until(lambda: _state(pid) == "T", "the agent has stopped itself")
        return pid

    def _start_both(self) -> None:
        """Both agents run, with traffic."""
        if self.lab.agents[L.HOST] is None:
            os.kill(self._launch(), signal.SIGCONT)
            self.lab.await_ready(L.HOST)
        if self.lab.agents[L.CARD] is None:
            self.lab.start(L.CARD)
        self.lab.wait_up()

    def _traffic(self) -> None:
        """Pings, and TCP both ways, until ``_end_streams``."""
        if self._streams and all(one.poll() is None for one in self._streams):
            return
        self._end_streams()
        host, card = self.lab.namespaces
        self._streams.append(_quietly(run_in(card, [need("iperf3"), "-s"])))
        until(lambda: _listens(card, 5201), "iperf3 listens")
        for command in (
            ["ping", "-q", "-i", "0.01", ADDRESSES[L.CARD]],
            [need("iperf3"), "-c", ADDRESSES[L.CARD], "-t", "0", "--bidir", "-b", "20M"],
        ):
            self._streams.append(_quietly(run_in(host, command)))

    def _end_streams(self) -> None:
        for one in self._streams:
            one.kill()
            one.wait()
        self._streams.clear()

    @contextlib.contextmanager
    def _traced(self, pid: int, *options: str) -> Iterator[Path]:
        """Strace with ``options`` is attached to all threads of the process during the block; the file of its log."""
        log = self._folder / "strace"
        log.unlink(missing_ok=True)
        tracer = subprocess.Popen(
            [self._strace, "-f", "-q", "-o", str(log), *options, "-p", str(pid)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: _all_traced(pid) or tracer.poll() is not None, "strace is attached")
            assert tracer.poll() is None, f"strace has ended with status {tracer.returncode}"
            yield log
        finally:
            tracer.send_signal(signal.SIGINT)  # it detaches
            try:
                tracer.wait(LIMIT)
            except subprocess.TimeoutExpired:  # the process has ended meanwhile, and strace waits for its first thread
                tracer.kill()
                tracer.wait()

    def _injecting(self, pid: int, injection: Injection) -> contextlib.AbstractContextManager[Path]:
        what = f"{injection.call}:error={injection.error}:when={injection.nth}"
        return self._traced(pid, "-e", f"trace={injection.call}", "-e", "signal=none", "-e", f"inject={what}")

    # --- recording ---------------------------------------------------------------------------------------

    def record(self) -> Recording:
        """The calls of a start, a run under traffic with requests and a tap, and a stop."""
        recorded = Recording()
        pid = self._launch()
        with self._traced(pid) as log:
            os.kill(pid, signal.SIGCONT)
            self.lab.await_ready(L.HOST)
            self.lab.wait_for(L.HOST, "waiting")
        recorded.calls["start"] = _counted(log)
        self._start_both()
        self._traffic()
        with self._traced(pid) as log:
            self._disturb(TRAFFIC_S)
            self.lab.stop(L.CARD)
            self._start_both()
        recorded.calls["run"] = _counted(log)
        self._end_streams()
        with self._stopped(pid), self._traced(pid) as log:
            assert self._stop() == 0
        recorded.calls["stop"] = _counted(log)
        self.lab.stop(L.CARD)
        return recorded

    @contextlib.contextmanager
    def _stopped(self, pid: int) -> Iterator[None]:
        """The process is stopped until the block's own ``_stop``."""
        os.kill(pid, signal.SIGSTOP)
        until(lambda: _state(pid) in "Tt", "the agent is stopped")
        yield

    def _stop(self) -> int:
        """SIGTERM, also to an agent that is stopped; its exit status."""
        agent = self.lab.agent(L.HOST)
        agent.send_signal(signal.SIGTERM)
        agent.send_signal(signal.SIGCONT)
        return self._ended()

    def _ended(self) -> int:
        agent = self.lab.agent(L.HOST)
        try:
            status = agent.wait(LIMIT)
        finally:
            self.lab.stop(L.HOST, signal.SIGKILL)
        return status

    def _disturb(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        """What a running agent has to serve: requests, and a tap that is lent; for ``seconds`` or until ``done``."""
        request = TapRequest(stages=(1 << len(T.STAGES)) - 1, ring_bytes=T.RING_MIN).as_question()
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline and self.lab.agent(L.HOST).poll() is None:
            with contextlib.suppress(VnetcardError, OSError):
                self.lab.status(L.HOST)
            with contextlib.suppress(VnetcardError, OSError), borrow(self.lab.url, L.HOST, request):
                pass

    # --- injecting ---------------------------------------------------------------------------------------

    def apply(self, injection: Injection) -> Result:
        """Inject once, and judge what came of it; afterwards the lab is fit for the next one."""
        result = Result(injection, "")
        try:
            result.outcome = getattr(self, f"_{injection.phase}_phase")(injection)
        except (AssertionError, VnetcardError, subprocess.TimeoutExpired) as error:
            result.outcome = f"hang or loss: {str(error)[:200]}"
        if self._stderr.exists():
            result.said = _last_line(self._stderr.read_text())
        if result.outcome == ABORTED or result.outcome not in FRIENDLY:
            self._reset()
        return result

    def _reset(self) -> None:
        self._end_streams()
        for side in (L.HOST, L.CARD):
            if self.lab.agents[side] is not None:
                self.lab.stop(side, signal.SIGKILL)
        self.lab._sweep()  # what an agent has left must not be found again

    def _is_ready(self, agent: subprocess.Popen[str], done: Callable[[], bool] = lambda: False) -> bool:
        """Whether the agent answers requests, and does not end before, or ``done``.

        Its line on stdout may be what fails.
        """
        deadline = time.monotonic() + LIMIT
        while agent.poll() is None and not done():
            assert time.monotonic() < deadline, "neither ready nor ended"
            with contextlib.suppress(VnetcardError, OSError):
                if self.lab.status(L.HOST)["link"]["state"] == "waiting":
                    return True
            time.sleep(0.01)
        return False

    def _start_phase(self, injection: Injection) -> str:
        self._end_streams()
        for side in (L.HOST, L.CARD):
            if self.lab.agents[side] is not None:
                self.lab.stop(side)
        pid = self._launch()
        agent = self.lab.agent(L.HOST)
        with self._injecting(pid, injection) as log:
            os.kill(pid, signal.SIGCONT)
            self._is_ready(agent, lambda: "INJECTED" in log.read_text())
        met = "INJECTED" in log.read_text()
        if not self._is_ready(agent):
            return self._judge_end(self._ended(), [])
        if not self._carries_traffic(agent):  # an injected failure that it met when its pumps began
            return self._judge_end(self._ended(), [self._window()])
        self.lab.stop(L.CARD)
        outcome = self._judge_end(self._stop(), [])
        return outcome if met or outcome not in FRIENDLY else "not met"

    def _carries_traffic(self, agent: subprocess.Popen[str]) -> bool:
        """Whether pings cross the link; False where the host's ``agent`` has ended."""
        try:
            self._start_both()
            ping(self.lab, L.HOST)
        except (VnetcardError, AssertionError):
            with contextlib.suppress(subprocess.TimeoutExpired):  # its socket is gone a moment before it has ended
                agent.wait(LIMIT)
            if agent.poll() is None:
                raise
        return agent.poll() is None

    def _window(self) -> str:
        """The file of the window, which the card's agent uses after the end of the host's."""
        return str(Path("/dev/shm", self.lab.url.removeprefix("shm:")))

    def _run_phase(self, injection: Injection) -> str:
        self._start_both()
        self._traffic()
        agent = self.lab.agent(L.HOST)
        with self._injecting(agent.pid, injection) as log:
            self._disturb(TRAFFIC_S, lambda: "INJECTED" in log.read_text())
        met = "INJECTED" in log.read_text()
        if self._carries_traffic(agent):
            return "survived" if met else "not met"
        self._end_streams()
        outcome = self._judge_end(self._ended(), [self._window()])
        return outcome if outcome != "survived" else "ended with status 0"

    def _stop_phase(self, injection: Injection) -> str:
        self._start_both()
        agent = self.lab.agent(L.HOST)
        self.lab.stop(L.CARD)
        with self._stopped(agent.pid), self._injecting(agent.pid, injection) as log:
            status = self._stop()
        if status == -signal.SIGABRT and injection.call == "munmap":
            return ABORTED
        # An empty folder for sockets may also belong to another user, and stays without a word.
        allowed = [str(self._folder / "run")] if injection.call == "rmdir" else []
        outcome = self._judge_end(status, allowed)
        return outcome if "INJECTED" in log.read_text() or outcome not in FRIENDLY else "not met"

    def _judge_end(self, status: int, allowed: list[str]) -> str:
        """One line for a failure, none for an orderly end, and nothing left but what is ``allowed`` or named."""
        said = self._stderr.read_text()
        lines = [line for line in said.splitlines() if line]
        try:
            logged = [json.loads(line) for line in lines]
        except ValueError:
            return "traceback" if "Traceback" in said else "not a line of the log"
        named = "left behind" in said or "cannot end cleanly" in said
        left = [what for what in self._left() if what not in allowed and not (named and what in said)]
        card = ".card.sock"
        left = [what for what in left if not what.endswith(card) and self.lab.namespaces[L.CARD] not in what]
        if left:
            return f"left behind: {', '.join(left)}"
        if status == 0:
            return "survived"
        if status not in (1, 2):
            return f"ended with status {status}"
        errors = [line for line in logged if line["level"] == "error" and "trying again" not in line["message"]]
        if len(errors) != 1 or not errors[0].get("code"):
            return f"{len(errors)} lines with an error"
        return "one line"

    def _left(self) -> list[str]:
        found = left_behind(self.lab)
        run = self._folder / "run"
        if self.lab.agents[L.CARD] is None and run.exists():
            found.append(str(run))
        return found


def _set_run_dir(value: str | None) -> None:
    if value is None:
        os.environ.pop("VNETCARD_RUN_DIR", None)
    else:
        os.environ["VNETCARD_RUN_DIR"] = value


def _quietly(command: Sequence[str]) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=null, stdout=null, stderr=null)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _all_traced(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return all("TracerPid:\t0\n" not in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return False


def _listens(netns: str, port: int) -> bool:
    done = subprocess.run(
        ["ip", "netns", "exec", netns, "cat", "/proc/net/tcp6"], capture_output=True, text=True, check=False
    )
    return f":{port:04X} " in done.stdout


def _last_line(text: str) -> str:
    lines = text.rstrip().splitlines()
    return lines[-1] if lines else ""


def _counted(log: Path) -> dict[str, int]:
    """Calls of a log of strace, with the most that one thread made."""
    counts = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(count, most.get(call, 0))
    return most


def sweep(
    most: int, *, shard: tuple[int, int] = (0, 1), phases: Iterable[str] = PHASES, calls: str = ""
) -> list[Result]:
    """Inject all of the ``plan`` that belong to ``shard``, with progress."""
    results = []
    with Injector(f"inject{shard[0]}") as injector:
        todo = [one for one in plan(injector.record(), most, phases=phases) if re.fullmatch(calls or ".*", one.call)]
        todo = todo[shard[0] :: shard[1]]
        for number, injection in enumerate(todo, 1):
            result = injector.apply(injection)
            results.append(result)
            if result.outcome not in FRIENDLY:
                print(f"{number}/{len(todo)} {injection}: {result.outcome}: {result.said}", flush=True)
            elif number % 50 == 0:
                print(f"{number}/{len(todo)}", flush=True)
    print(table(results), flush=True)
    return results


def main() -> int:
    """Exit status 1 when any injection had another outcome than the friendly ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=4)
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--phase", choices=PHASES, action="append")
    parser.add_argument("--calls", default="")
    args = parser.parse_args()
    number, _, of = args.shard.partition("/")
    results = sweep(args.most, shard=(int(number), int(of)), phases=args.phase or PHASES, calls=args.calls)
    return int(any(result.outcome not in FRIENDLY for result in results))


if __name__ == "__main__":
    sys.exit(main())
