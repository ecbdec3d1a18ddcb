"""One side's process: opens window and port, runs the link, answers on the control socket.

``vnetcard-x86`` and ``vnetcard-fpga`` are this program for the two sides.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import traceback

from vnetcard.agent import port_state, service
from vnetcard.agent.answers import Answers
from vnetcard.agent.checks import Checks
from vnetcard.agent.close_window import close_window
from vnetcard.agent.config import PROGRAMS, Config, load
from vnetcard.agent.control import ControlServer, socket_path
from vnetcard.agent.ethernet_interface import manage
from vnetcard.agent.history import History
from vnetcard.agent.kernel_discards import KernelDiscards
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.agent.negotiation import make_offer, port_for, queues_of_new_window
from vnetcard.agent.packet_discards import PacketDiscards
from vnetcard.agent.port_details import PortDetails
from vnetcard.agent.privileges import Privileges
from vnetcard.agent.pulse import Pulse
from vnetcard.agent.punt import Punt
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.agent.undo import undoing
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason
from vnetcard.errors import ConfigError, PortUnavailable, VnetcardError, WindowNotReady, WindowUnavailable
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import QueueEndpoints
from vnetcard.link.rest import Rest
from vnetcard.link.session import LinkSession, pairs_of
from vnetcard.link.types import Agreement
from vnetcard.port import news_of
from vnetcard.port.interface import Interface
from vnetcard.port.macvtap import MacvtapPort
from vnetcard.port.packet import PacketPort
from vnetcard.port.tun import TunPort
from vnetcard.terminal import limits
from vnetcard.terminal.escape import printed_help
from vnetcard.terminal.ready import readable
from vnetcard.terminal.refusal import explained
from vnetcard.terminal.stdio import open_missing_descriptors
from vnetcard.window import Window, open_window

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMIT_PAUSE = 0.5
"""Seconds until a running agent that has reached a limit of the system tries again."""


class Agent:
    """A configured agent; ``run`` returns when a signal ends it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.privileges = Privileges(config)
        self._new_queues = 1 if config.queues else queues_of_new_window(config)
        self.log, self.output = service.open_log(config.program, as_json=config.json_log, level=config.log_level)
        self.window: Window
        self._window_open = False
        self.interface: ManagedInterface | None = None
        self.punt: Punt | None = None
        self.discards: KernelDiscards | PacketDiscards | None = None
        self.link: Link | None = None
        self.endpoints: QueueEndpoints[PumpEndpoints] | None = None
        self.lost: str | None = None
        self.lost_code = LinkReason.DEVICE_GONE
        self.since = time.monotonic()
        self.announced = False
        self.doing = "start"
        """What an error has interrupted, for its message."""
        self.history = History()
        self._watchdog = service.Watchdog()
        self._pulse = Pulse(self._watchdog.beat)
        self._stop = False
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.privileges.close)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.taps = TapRegistry(config.side, lambda: os.eventfd_write(self._attention, 1))

    # --- life ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP.  Whatever happens, everything that was made is gone afterwards."""
        service.log_ignored(self.log)
        for number in STOP_SIGNALS:  # nohup(1) and shells ignore some for a process in the background: that stays
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # a caller's mask is inherited
        with undoing(self._stack.close, self._close_window, lambda: service.notify("STOPPING=1")):
            for doing, step in (
                ("choose the scheduling", self.config.scheduling.permit),
                ("open the window", self._open_window),
                ("open the port", self._open_port),
                ("open the control socket", self._open_control),
            ):
                self.doing = doing
                if not self._stop:
                    step()
            self.doing = "run the link"
            while not self._stop:
                self._serve()
            self.doing = "end cleanly"

    def _close_window(self) -> None:
        if self._window_open:
            close_window(self.window, self.log)

    def _on_signal(self, *_: object) -> None:
        self._pulse.stop()
        self._stop = True  # no exception: it could come between the creation of an object and its registration

    def _open_window(self) -> None:
        """The first step: it fails when another process runs this side."""
        config = self.config
        if not self._wait_for_window(WindowNotReady):
            return
        most = self.window.geometry.mtu_max
        if config.mtu > most:
            raise ConfigError(
                f"--mtu {config.mtu} does not fit the window's rings of {self.window.geometry.ring_bytes} bytes: "
                f"at most {most}; take a larger window or --queue-bytes",
                code=ErrorCode.OUT_OF_RANGE,
            )

    def _open_port(self) -> None:
        config = self.config
        with self.privileges.for_port():
            self.port, self._fewer = port_for(config, self.window)
        self._stack.callback(self.port.close)
        self.taps.queues = len(self.port.fds)
        self.interface = self._configure_interface()
        if isinstance(self.port, PacketPort):
            self._check_mtu(self.port)
            self.discards = PacketDiscards(self.port)
        if config.punt is not None:
            self.punt = Punt(config.punt, self.port)
            self._stack.callback(self.punt.close)
        self.details = PortDetails(config, self.port, self.interface, self.punt)
        self._stack.callback(self.details.close)
        self.offer = make_offer(config, self.port, self.window)
        if isinstance(self.port, MacvtapPort):
            self.offer.mac = self.port.mac.raw

    def _check_mtu(self, port: PacketPort) -> None:
        """The interface's MTU is not changed, so it must take the link's packets."""
        if self.config.mtu > port.mtu:
            raise PortUnavailable(
                f"--mtu {self.config.mtu} exceeds the MTU of {port.name}: give --mtu {port.mtu}, or "
                f"`ip link set {port.name} mtu {self.config.mtu}`",
                code=ErrorCode.OUT_OF_RANGE,
            )

    def _open_control(self) -> None:
        self._stack.callback(self.taps.close)
        path = socket_path(self.window.url, self.config.side)
        control = ControlServer(path, Answers(self).answer, self.privileges.settle)
        self._stack.callback(control.close)

    def _announce(self) -> None:
        """Report readiness, once the pumps run."""
        service.announce(self.config, self.port.name, self.window.url)
        self.announced = True

    def _configure_interface(self) -> ManagedInterface | None:
        if not isinstance(self.port, TunPort):
            return None
        interface = Interface(self.port.name, netns=self.config.netns, locate=self.port.locate)
        self._stack.callback(interface.close)
        self.port.set_carrier(False)
        managed = manage(self.port, interface, self.config, self.log, self.window.url)
        self._stack.callback(managed.close)
        managed.configure()
        if not isinstance(self.port, MacvtapPort):  # whose frames this machine's IP never sees
            self.discards = KernelDiscards(interface)
            self._stack.callback(self.discards.close)
        return managed

    # --- the loop ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Run the link over the present window until a signal comes or the window is lost; then open it again."""
        session = self._open_session()
        if session is None:
            return
        with undoing(session.stop, self._forget_session, session.close, self.taps.unsettle):
            if self.config.queues is None and self.offer.queues < pairs_of(self.window):
                self.log.warning("%d of %d queue pairs: %s", self.offer.queues, pairs_of(self.window), self._fewer)
            self.endpoints = session.pumps
            for pair in session.pumps.pairs:
                limits = self.config
                pair.set_limits(limits.max_segments, limits.allow, trust_peer=limits.trust_peer, merge=self.offer.merge)
                if self.punt is not None:
                    self.punt.attach(pair.rx)
            self.taps.settle(self.endpoints.pairs, fresh=True)
            try:
                self.link = self._pulse.link = session.link
                session.start()
                if not self.announced:
                    self._announce()
                self.lost = self._loop(self.link, self.endpoints)
            except WindowUnavailable as error:
                self.lost = str(error)
        if self.lost:
            self.lost_code = LinkReason.WINDOW_LOST if self.window.memory.lost else LinkReason.DEVICE_GONE
            self.history.changed("gone", self.lost, self.lost_code)
            self.log.warning("window lost: %s; opening it again", self.lost)
            self._window_open = False
            close_window(self.window, self.log)
            if self._wait_for_window(VnetcardError):
                self.lost = None

    def _forget_session(self) -> None:
        self.link = self._pulse.link = None
        self.endpoints = None

    def _open_session(self) -> LinkSession | None:
        """The pumps and the link; None to try again, where a running agent has reached a limit of the system."""
        try:
            with self.config.scheduling.for_pumps():
                return LinkSession(
                    self.window,
                    self.config.side,
                    port=self.port,
                    offer=self.offer,
                    listener=self,
                    attention_fd=self._attention,
                    wait=self.config.wait,
                )
        except OSError as error:
            limit = limits.name_of(error)
            if limit is None:
                raise
            if not self.announced:
                raise PortUnavailable(f"cannot start the pumps: {limit}", code=ErrorCode.RESOURCE_LIMIT) from error
            self.log.error("cannot start the pumps: %s; trying again", limit, extra={"code": ErrorCode.RESOURCE_LIMIT})
            readable([self._wake_read], LIMIT_PAUSE)
            return None

    def _loop(self, link: Link, endpoints: QueueEndpoints[PumpEndpoints]) -> str | None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(self._attention, select.POLLIN)
        watched = -1
        # Nothing reports that a macvtap was deleted.
        rest = Rest(link, able=not self.window.engine and not isinstance(self.port, MacvtapPort))
        checks = Checks(self.window, self.config.side, self.history, self.discards)
        while not self._stop:
            again = self.interface.check() if self.interface is not None else None
            link.ports.set_own(port_state.is_up(self.port, self.interface))
            for line in news_of(self.port):
                self.log.warning("%s", line, extra={"code": ErrorCode.PORT_GONE})
            rest.remember()
            pause = link.tick()
            if self.interface is not None:
                pause = pause if again is None else min(pause, again)
                if watched != self.interface.fileno():
                    watched = self._watch(poll, watched, self.interface.fileno())
            self.taps.settle(endpoints.pairs)
            self._beat()
            if link.port_gone or port_state.is_gone(self.port):
                raise PortUnavailable(
                    f"interface {self.port.name} was deleted while the agent used it", code=ErrorCode.PORT_GONE
                )
            if link.reason_code is LinkReason.WINDOW_LOST:
                return self.window.vanished() or link.reason
            if checks.left() <= 0:
                if lost := checks.run(link, self.report):
                    return lost
                if link.agreement is not None:
                    port_state.follow_mac(self.port, self.interface, link)
            if watched >= 0 and again is None and rest.possible():
                rest.sleep((self._wake_read, self._attention, watched), checks.left())
                checks.hasten()
                pause = 0.0
            for fd, _ in poll.poll(pause * 1000):
                if fd != watched:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 64)
        return None

    def _beat(self) -> None:
        self._watchdog.beat()
        self.output.beat()

    @staticmethod
    def _watch(poll: select.poll, before: int, now: int) -> int:
        """Replace the descriptor of the kernel's notifications; the present one."""
        with contextlib.suppress(KeyError, ValueError):
            poll.unregister(before)
        poll.register(now, select.POLLIN)
        return now

    def _wait_for_window(self, retried: type[VnetcardError]) -> bool:
        """Open the window; after an error of class ``retried`` try again.  False: the agent was stopped before.

        The error is logged whenever its message changes.
        """
        logged = ""
        while not self._stop:
            self._beat()
            try:
                self.window = open_window(
                    self.config.window,
                    side=self.config.side,
                    queue_bytes=self.config.queue_bytes,
                    queues=self.config.queues,
                    pulse=self._pulse,
                    new_queues=self._new_queues,
                )
            except VnetcardError as error:
                if self._stop and not isinstance(error, WindowNotReady):
                    self.log.warning("%s", error)
                    return False
                if not isinstance(error, retried):
                    raise
                if str(error) != logged:
                    self.log.error("%s; trying again", error, extra={"code": error.code})
                    logged = str(error)
                service.notify(f"STATUS={error}\nEXTEND_TIMEOUT_USEC=30000000")
                readable([self._wake_read], 0.2)
            else:
                self._window_open = True
                for note in self.window.notes:
                    self.log.warning("%s", note)
                return True
        return False

    # --- calls of the link (vnetcard.link.types.Listener) --------------------------------------------------

    def link_up(self, agreement: Agreement) -> None:
        if self.interface is not None:
            if self.link is not None:
                port_state.follow_mac(self.port, self.interface, self.link)
            self.interface.set_mtu(agreement.mtu)
        if self.discards is not None:
            self.discards.begin()

    def carrier(self, up: bool, reason: str) -> None:
        if up and self.interface is not None:
            self.interface.interface.wait_open()
        self.since = time.monotonic()
        service.notify(f"STATUS=link {'up' if up else 'down'}: {reason}")

    def report(self, message: str, code: LinkReason) -> None:
        self.log.info("%s", message, extra={"code": code.value})
        if (link := self.link) is not None:
            self.history.changed(link.state.value, link.reason, link.reason_code, link.fault_code)


def main(side: int, argv: list[str] | None = None) -> int:
    """Run an agent from the command line: 0 stopped by a signal, 1 failed while running, 2 could not start.

    Once there was an agent this ends the process instead of returning.
    """
    open_missing_descriptors()
    agent: Agent | None = None
    status = 0
    try:
        with printed_help():
            config = load(side, argv)
        agent = Agent(config)
        agent.run()
    except Exception as error:
        failure = explained(error, agent.doing if agent else "start")
        as_json = agent.config.json_log if agent else "--json-log" in (sys.argv if argv is None else argv)
        trace = "".join(traceback.format_exception(error)).rstrip()
        if agent is not None:
            if failure is not error:
                agent.log.debug("%s", trace)
            agent.output.end()
        if failure is not None:
            service.report_failure(PROGRAMS[side], failure, as_json=as_json)
        elif agent is not None:  # a defect of this program; Python's own traceback could wait for its reader
            service.last_words(2, trace)
        else:
            raise
        status = 1 if agent is not None and agent.announced else 2
    finally:
        for number in STOP_SIGNALS:  # Python restores the default action while it ends: the next one would kill us
            signal.signal(number, signal.SIG_IGN)
    if agent is not None:
        agent.output.end()
        os._exit(status)  # all is undone; Python's own teardown takes half a second on a busy machine
    return status
