"""``vnetcard-sim``: simulates the DMA engine live between two ordinary agents."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final

from vnetcard.agent import service
from vnetcard.errors import VnetcardError
from vnetcard.sim import build, report
from vnetcard.sim.library import CLOCK_HZ, Simulator
from vnetcard.sim.objects import Objects, new_instance
from vnetcard.sim.options import PROGRAM, Options, load
from vnetcard.sim.vfio_user.function import Function
from vnetcard.terminal.arguments import report_error
from vnetcard.terminal.escape import printed_help
from vnetcard.terminal.sizes import human

STOP_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
SIGNALS: Final = STOP_SIGNALS | {signal.SIGUSR1, signal.SIGUSR2}
STATS_EVERY: Final = 1.0
"""Seconds between two lines of ``--stats``."""


class Interrupted(Exception):
    """Raised when a signal arrives before the simulation runs."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise Interrupted(signal.Signals(number).name)


def _progress(text: str) -> None:
    """Print progress on stderr: stdout is for the ready line and the figures."""
    sys.stderr.write(text)
    sys.stderr.flush()


def _log(text: str) -> None:
    _progress(f"{PROGRAM}: {text}\n")


class Session:
    """A running simulation: handles signals and prints events and figures."""

    def __init__(self, options: Options, simulator: Simulator, function: Function | None = None) -> None:
        self._options = options
        self._simulator = simulator
        self._function = function
        self._removed = self._refusing = False
        self._began = time.monotonic()
        self._remove_at = None if options.remove_after is None else self._began + options.remove_after
        self._last = (self._began, simulator.stats())

    def serve(self) -> None:
        """Return when a signal ends the simulation; SIGUSR1 removes the card and puts it back.

        SIGUSR2 lets the IOMMU of a PCI function refuse every access, and ends that.
        """
        while True:
            found = signal.sigtimedwait(SIGNALS, self._pause())
            if found is not None and found.si_signo in STOP_SIGNALS:
                return
            if found is not None and found.si_signo == signal.SIGUSR1:
                self._toggle()
            elif found is not None and self._function is not None:
                self._toggle_iommu(self._function)
            now = time.monotonic()
            if self._remove_at is not None and now >= self._remove_at:
                self._remove_at = None
                if not self._removed:
                    self._toggle()
            if self._options.stats and now >= self._last[0] + STATS_EVERY:
                self._line(now)

    def _pause(self) -> float:
        until = [self._last[0] + STATS_EVERY] if self._options.stats else []
        until += [self._remove_at] if self._remove_at is not None else []
        return max(0.0, min(until, default=time.monotonic() + 3600) - time.monotonic())

    def _toggle(self) -> None:
        self._removed = not self._removed
        card = self._function or self._simulator
        if self._removed:
            card.remove_card()
        else:
            card.put_card_back(new_instance())
        self._say("removed" if self._removed else "returned", "the card is " + ("removed" if self._removed else "back"))

    def _toggle_iommu(self, function: Function) -> None:
        self._refusing = not self._refusing
        function.refuse(self._refusing)
        state = "refuses every access" if self._refusing else "serves again"
        self._say("refusing" if self._refusing else "serving", f"the IOMMU {state}")

    def _line(self, now: float) -> None:
        then, old = self._last
        self._last = (now, self._simulator.stats())
        line = report.Line.between(old, self._last[1], span=now - then, seconds=now - self._began)
        self._print(line.json() if self._options.json else line.text())

    def announce(self) -> None:
        """Print the ready line and notify systemd."""
        options = self._options
        self._say(
            "ready",
            f"{PROGRAM} ready: {options.name}, {options.width} bit, 2 x {human(options.memory)}, "
            f"{CLOCK_HZ // 1_000_000} MHz (pid {os.getpid()})",
        )
        service.notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=simulating")

    def finish(self) -> None:
        """Print the totals, if wanted; the simulator must still run."""
        if not self._options.totals:
            return
        counters = report.engine(self._simulator.read)
        seconds, stats = time.monotonic() - self._began, self._simulator.stats()
        if self._options.json:
            pci = {} if self._function is None else {"pci": self._function.totals()}
            self._print(json.dumps({"event": "totals", **report.totals(stats, seconds, counters), **pci}))
        else:
            self._print(report.table(stats, seconds, counters))
            if self._function is not None:
                self._print(self._function.text())

    def _say(self, event: str, text: str) -> None:
        if self._options.json:
            text = json.dumps({"event": event, "name": self._options.name, "pid": os.getpid(), "text": text})
        self._print(text)

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the reader has gone
            print(text, flush=True)


def run(options: Options) -> None:
    """Build the simulator, simulate until a signal ends it, and remove everything."""
    library = build.library(options.width, trace=options.trace is not None, progress=_progress)
    # From here on Session.serve takes signals one at a time, so that none interrupts a step.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with contextlib.ExitStack() as stack:
        objects = Objects(options.name, options.memory, options.width, host=options.vfio_user is None)
        stack.callback(objects.close)
        mapped = (objects.bus, *objects.memories)
        eventfd = -1
        if options.vfio_user is not None:
            eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            stack.callback(os.close, eventfd)
        simulator = Simulator(
            library,
            options.width,
            mapped,
            bus=options.bus,
            trace=options.trace,
            seed=options.seed,
            host_eventfd=eventfd,
        )
        stack.callback(simulator.close)
        for injection in options.injections:
            simulator.inject(injection)
        thread = threading.Thread(target=simulator.run, name="simulator")
        thread.start()
        stack.callback(thread.join)
        stack.callback(simulator.stop)
        objects.open_to_agents()
        function = None
        if options.vfio_user is not None:
            function = Function(options.vfio_user, simulator, options.name, eventfd, log=_log)
            stack.callback(function.close)
        session = Session(options, simulator, function)
        session.announce()
        session.serve()
        service.notify("STOPPING=1")
        session.finish()


def main(argv: list[str] | None = None) -> int:
    """Run a simulation; returns 0 stopped by a signal, 1 the build failed, 2 bad input, 130 interrupted."""
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    options = None
    try:
        with printed_help():
            options = load(argv)
        run(options)
    except VnetcardError as error:
        report_error(PROGRAM, error, as_json=options is not None and options.json)
        return 1 if isinstance(error, build.BuildFailed) else 2
    except Interrupted as error:
        _progress(f"\n{PROGRAM}: interrupted by {error}\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
