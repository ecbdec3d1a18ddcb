"""One side's process: opens window and port, runs the link, answers on the control socket.

``vnetcard-x86`` and ``vnetcard-fpga`` are this with another side.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from vnetcard.agent import collect, service, status
from vnetcard.agent.config import PROGRAMS, Config, load
from vnetcard.agent.control import ControlServer, Lease, socket_path
from vnetcard.agent.history import History
from vnetcard.agent.negotiation import make_offer, port_for
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.codes.link import LinkReason
from vnetcard.errors import ConfigError, PortUnavailable, VnetcardError, WindowNotReady, WindowUnavailable
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import QueueEndpoints
from vnetcard.link.session import LinkSession, pairs_of
from vnetcard.link.types import Agreement
from vnetcard.port.interface import Interface
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import complain
from vnetcard.window import Window, open_window

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WINDOW_LOOK_EVERY = 0.5
"""Seconds between two looks whether the window's memory is still the peer's too."""
REMEMBER_EVERY = 1.0
"""Seconds between two looks at which counters have moved: for people, so that an idle agent may be idle."""


class Agent:
    """A configured agent; ``run`` returns when a signal ends it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.log = service.logger(config)
        self.window: Window
        self.link: Link | None = None
        self.endpoints: QueueEndpoints[PumpEndpoints] | None = None
        self.lost: str | None = None
        self.since = time.monotonic()
        self.announced = False
        self.history = History()
        self._watchdog = service.Watchdog()
        self._stop = False
        self._stack = contextlib.ExitStack()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.taps = TapRegistry(config.side, lambda: os.eventfd_write(self._attention, 1))

    # --- life ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP.  Whatever happens, everything that was made is gone afterwards."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            for step in (self._open_window, self._open_port, self._open_doors):
                if not self._stop:
                    step()
            while not self._stop:
                self._serve()
        finally:
            self._stack.close()
            with contextlib.suppress(AttributeError):
                self.window.close()
            service.notify("STOPPING=1")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stop = True  # and no exception: it could fall between making a thing and remembering it

    def _open_window(self) -> None:
        """First of all: it says whether somebody else runs this side."""
        config = self.config
        if not self._open_patiently(WindowNotReady):
            return
        most = self.window.geometry.mtu_max
        if config.mtu > most:
            raise ConfigError(
                f"--mtu {config.mtu} does not fit the window's rings of {self.window.geometry.ring_bytes} bytes: "
                f"at most {most}; take a larger window or --queue-bytes"
            )

    def _open_port(self) -> None:
        config = self.config
        self.port, self._fewer = port_for(config, self.window)
        self._stack.callback(self.port.close)
        self.taps.queues = len(self.port.fds)
        self.interface = self._configure_interface()
        self.offer = make_offer(config, self.port, self.window)

    def _open_doors(self) -> None:
        """Tell the world that we are here."""
        self._stack.callback(self.taps.close)
        control = ControlServer(socket_path(self.window.url, self.config.side), self.answer)
        self._stack.callback(control.close)
        service.announce(self.config, self.window.url)
        self.announced = True

    def _configure_interface(self) -> Interface | None:
        if not self.config.port.startswith("tun:"):
            return None
        interface = Interface(self.port.name, netns=self.config.netns)
        self._stack.callback(interface.close)
        self.port.set_carrier(False)
        interface.up(mtu=self.config.mtu)
        for address in self.config.addresses:
            interface.add_address(address)
        for route in self.config.routes:
            interface.add_route(route)
        return interface

    # --- the loop ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Run the link over the present window until a signal comes or the window is lost, which brings a new one."""
        session = LinkSession(
            self.window,
            self.config.side,
            port=self.port,
            offer=self.offer,
            listener=self,
            attention_fd=self._attention,
            wait=self.config.wait,
        )
        if self.config.side == L.CARD and self.config.queues is None and self.offer.queues < pairs_of(self.window):
            self.log.warning("%d of %d queue pairs: %s", self.offer.queues, pairs_of(self.window), self._fewer)
        self.endpoints = session.pumps
        self.taps.settle(self.endpoints.pairs, fresh=True)
        try:
            self.link = session.link
            session.start()
            self.lost = self._loop(self.link, self.endpoints)
        except WindowUnavailable as error:
            self.lost = str(error)
        finally:
            session.stop()
            self.link = None
            self.endpoints = None
            session.close()
            self.taps.unsettle()
        if self.lost:
            self.history.changed("gone", self.lost, LinkReason.DEVICE_GONE)
            self.log.warning("window lost: %s; opening it again", self.lost)
            self.window.close()
            if self._open_patiently(VnetcardError):
                self.lost = None

    def _loop(self, link: Link, endpoints: QueueEndpoints[PumpEndpoints]) -> str | None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(self._attention, select.POLLIN)
        look_at = remember_at = 0.0
        while not self._stop:
            pause = link.tick()
            self.taps.settle(endpoints.pairs)
            self._watchdog.beat()
            if link.port_gone:
                raise PortUnavailable(f"interface {self.port.name} is gone: somebody deleted it")
            now = time.monotonic()
            if now >= look_at:
                look_at = now + WINDOW_LOOK_EVERY
                if lost := self.window.vanished():
                    return lost
            if now >= remember_at:
                remember_at = now + REMEMBER_EVERY
                self.history.look(collect.watched(self.window, self.config.side))
            for fd, _ in poll.poll(pause * 1000):
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 64)
        return None

    def _open_patiently(self, patience: type[VnetcardError]) -> bool:
        """Open the window; until it can be, say why not whenever the reason changes.  False: stopped before."""
        said = ""
        while not self._stop:
            self._watchdog.beat()
            try:
                self.window = open_window(
                    self.config.window,
                    side=self.config.side,
                    queue_bytes=self.config.queue_bytes,
                    queues=self.config.queues,
                )
            except patience as error:
                if str(error) != said:
                    self.log.error("%s; trying again", error)
                    said = str(error)
                service.notify(f"STATUS={error}\nEXTEND_TIMEOUT_USEC=30000000")
                select.select([self._wake_read], [], [], 0.2)
            else:
                for note in self.window.notes:
                    self.log.warning("%s", note)
                return True
        return False

    # --- what the link tells (vnetcard.link.types.Listener) ------------------------------------------------

    def link_up(self, agreement: Agreement) -> None:
        if self.interface is not None:
            self.interface.set_mtu(agreement.mtu)

    def carrier(self, up: bool, reason: str) -> None:
        if up and self.interface is not None:
            self.interface.wait_open()
        self.since = time.monotonic()
        service.notify(f"STATUS=link {'up' if up else 'down'}: {reason}")

    def report(self, message: str, code: LinkReason) -> None:
        self.log.info("%s", message, extra={"code": code.value})
        if (link := self.link) is not None:
            self.history.changed(link.state.value, link.reason, link.reason_code, link.fault_code)

    # --- what the control socket asks ----------------------------------------------------------------

    def answer(self, question: dict[str, Any]) -> dict[str, Any] | Lease:
        """``{"ask": "status"}``, and what else stands in the table; ``tap`` has a wish (``vnetcard.ring.tap_shm``)."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | Lease]] = {
            "status": self._answer_status,
            "show": self._answer_show,
            "clear": self._answer_clear,
            "tap": self.taps.lend,
        }
        answer = answers.get(str(question.get("ask")))
        if answer is None:
            return {"error": f"unknown question {question.get('ask')!r}: known are {', '.join(answers)}"}
        return answer(question)

    def _answer_status(self, question: dict[str, Any]) -> dict[str, Any]:
        del question
        if self.lost:
            return status.collect_lost(self.config, self.window.url, self.lost)
        return status.collect(self.config, self.window, self.link, since=time.monotonic() - self.since)

    def _answer_show(self, question: dict[str, Any]) -> dict[str, Any]:
        del question
        if self.lost:
            return collect.collect_lost(self.config, self.window.url, self.lost, self.history)
        since = time.monotonic() - self.since
        return collect.collect(self.config, self.window, self.link, self.endpoints, self.history, since=since)

    def _answer_clear(self, question: dict[str, Any]) -> dict[str, Any]:
        """Readers count from now on; in the window only a pump's own high-water mark begins anew."""
        if not self.lost:
            what = str(question.get("what"))
            self.history.clear(what, collect.baseline(self.window, self.config.side, what))
            if what == "ring" and self.endpoints is not None:
                for pair in self.endpoints.pairs:
                    pair.rx.reset_high_water()
        return {"cleared": question.get("what")}


def main(side: int, argv: list[str] | None = None) -> int:
    """Run an agent from the command line: 0 stopped by a signal, 1 failed while running, 2 could not start.

    Once there was an agent this ends the process instead of returning.
    """
    agent: Agent | None = None
    status = 0
    try:
        agent = Agent(load(side, argv))
        agent.run()
    except VnetcardError as error:
        complain(PROGRAMS[side], error)
        status = 1 if agent is not None and agent.announced else 2
    finally:
        for number in STOP_SIGNALS:  # Python, on its way out, would let the next one kill us
            signal.signal(number, signal.SIG_IGN)
    if agent is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # all is undone; Python's own teardown takes half a second on a busy machine
    return status
