"""``vnetcard replay``: injects the packets of a capture into one end of a link.

If an agent runs on that side, the packets leave through its interface, like an application's; if none does, this
command takes the side itself while it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vnetcard.agent.control import ask
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.link.session import LinkSession
from vnetcard.ping.target import netns_of
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.raw_socket import FULL, InterfaceLeft, RawSocket
from vnetcard.ring import layout as L
from vnetcard.ring.window_dump import view_ring
from vnetcard.tap import pcap_reader
from vnetcard.tap.pcap_reader import Packet
from vnetcard.tap.source import moves_ethernet
from vnetcard.terminal.arguments import Subparsers, add_command, positive, seconds
from vnetcard.terminal.ready import readable
from vnetcard.window import Window, WindowUrl
from vnetcard.window.arguments import add_window

EPILOG = """\
examples:
  vnetcard replay field.pcap                              into the host's end, as fast as it was
  vnetcard replay field.pcapng --side card --speed 10     ten times as fast
  vnetcard replay lost.pcapng --interface host-port --direction out --speed 0.1

The same file drives the simulated engine: make hdl PCAP=field.pcap (in a checkout).

exit status: 0 every packet went into the link, 1 some were refused, 2 bad input
"""
UP_LIMIT: Final = 10.0
"""Seconds allowed for the link to come up, and for the last packets to leave."""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``replay`` to the commands."""
    parser = add_command(
        subparsers,
        "replay",
        help="inject a pcap or pcapng file into one end of a link",
        description="Inject the IP packets of a capture into a link, with their own timing, or faster, or slower.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="pcap or pcapng")
    add_window(parser)
    parser.add_argument("--side", choices=L.SIDES, default="host", help="the end of this side (default: %(default)s)")
    parser.add_argument("--interface", metavar="NAME", help="only packets of this interface of a pcapng file")
    parser.add_argument(
        "--direction", choices=pcap_reader.DIRECTIONS, help="only packets that were captured in this direction"
    )
    parser.add_argument("--speed", type=seconds, default=1.0, metavar="X", help="relative speed (default: 1)")
    parser.add_argument("--fast", action="store_true", help="send without pauses")
    parser.add_argument("--loop", type=positive, default=1, metavar="N", help="number of repetitions (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Inject the packets and print the result."""
    url, side = str(WindowUrl.parse(args.window)), L.SIDES.index(args.side)
    ethernet = moves_ethernet(args.window)
    capture = pcap_reader.read(args.file, interface=args.interface, direction=args.direction, ethernet=ethernet)
    with injector(args.window, url, side, ethernet=ethernet) as end:
        result = replay(capture.packets * args.loop, end, speed=0 if args.fast else args.speed)
    result |= {"left_out": capture.others, "into": end.name}
    print(json.dumps(result) if args.json else text(args.file, result))
    return 0 if not result["refused"] else 1


@dataclass(frozen=True, slots=True)
class End:
    """Where packets go in: ``send`` returns False if the packet is refused; ``pause`` waits for a time in seconds."""

    name: str
    send: Callable[[bytes], bool]
    pause: Callable[[float], None] = time.sleep


def replay(packets: tuple[Packet, ...], end: End, *, speed: float) -> dict[str, int | float | str]:
    """Send each packet at its time, ``speed`` times as fast as captured (0: at once); returns the result."""
    began = time.monotonic()
    offset, before, late, refused = 0.0, packets[0].time, 0.0, 0
    for packet in packets:
        # A time stamp that goes back, as at the start of a repetition, adds no pause.
        offset += max(0, packet.time - before) / 1e9 / speed if speed else 0
        before = packet.time
        ahead = began + offset - time.monotonic()
        if ahead > 0:
            end.pause(ahead)
        elif speed:
            late = max(late, -ahead)
        refused += not end.send(packet.data)
    return {
        "packets": len(packets),
        "bytes": sum(len(packet.data) for packet in packets),
        "refused": refused,
        "seconds": round(time.monotonic() - began, 6),
        "seconds_meant": round(offset, 6),
        "most_late_ms": round(late * 1000, 3),
    }


def text(file: Path, result: dict[str, int | float | str]) -> str:
    """The result for people."""
    words = (
        f"{file}: {result['packets']} packets, {result['bytes']} bytes into {result['into']} in {result['seconds']} s"
    )
    if result["seconds_meant"]:
        words += f" (meant: {result['seconds_meant']} s), at most {result['most_late_ms']} ms late"
    if result["left_out"]:
        words += f"; {result['left_out']} frames that are not IP were left out"
    if result["refused"]:
        words += f"; {result['refused']} REFUSED: larger than the link's MTU? `vnetcard capture --segment` cuts packets"
    return words


@contextlib.contextmanager
def injector(window: str, url: str, side: int, *, ethernet: bool) -> Iterator[End]:
    """The end of ``side``: the interface of its agent, or this process if no agent runs."""
    try:
        view = ask(url, side, "status")
    except PeerGone:
        with link_end(window, url, side, ethernet=ethernet) as end:
            yield end
        return
    with contextlib.closing(AgentInterface(url, side, view)) as interface:
        yield End(f"{interface.name} of the {L.SIDES[side]}'s agent", interface.send)


class AgentInterface:
    """The interface of the agent of ``side``, which is held, and followed when it moves to another namespace."""

    def __init__(self, url: str, side: int, view: dict[str, Any]) -> None:
        """``view`` is the agent's status.  ConfigError: its link is down, or there is no permission."""
        self._url, self._side = url, side
        if not view["link"]["up"]:
            raise ConfigError(
                f"the {L.SIDES[side]}'s link is down ({view['link']['reason']}): it would drop every packet"
            )
        self.name: str = view["port"]["name"]
        self._socket: RawSocket | None = None
        self._find(view)

    def _find(self, view: dict[str, Any] | None = None) -> RawSocket:
        """Open the interface where the agent has it now; ConfigError when it cannot be found there."""
        self.close()
        deadline = time.monotonic() + UP_LIMIT
        while True:
            try:
                self._socket = opened = self._open(view or ask(self._url, self._side, "status"))
                return opened
            except PermissionError as error:
                raise ConfigError(
                    f"no permission for a raw socket on {self.name}: it takes root, or CAP_NET_RAW"
                ) from error
            except (InterfaceLeft, PeerGone) as error:
                if time.monotonic() > deadline:
                    raise ConfigError(f"{self.name} was deleted, moved or set down ({error})") from error
                view = None
                time.sleep(0.02)

    def _open(self, view: dict[str, Any]) -> RawSocket:
        """Raises InterfaceLeft when the interface is not where ``view`` says, PermissionError."""
        port = view["port"]
        self.name = port["name"]
        if not port.get("up") or not view["link"]["up"]:
            raise InterfaceLeft("it is down")
        return RawSocket(
            netns_of(view), port["index"], netns_id=port["netns_id"], ethernet=port["frames"] == "ethernet"
        )

    def send(self, packet: bytes) -> bool:
        """As an application's packet: the interface's queue, then the agent."""
        while True:
            try:
                return (self._socket or self._find()).send(packet)
            except InterfaceLeft:
                self.close()

    def close(self) -> None:
        """Close its sockets.  Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextlib.contextmanager
def link_end(window: str, url: str, side: int, *, ethernet: bool) -> Iterator[End]:
    """This process as the agent of ``side``, with an in-memory port; packets from the peer are discarded."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(contextlib.closing(PairPort("replay")))
        port.far.setblocking(False)
        port.frames = L.FRAMES["ETHERNET" if ethernet else "IP"]
        session = stack.enter_context(LinkSession(window, side, port=port))
        try:
            packet_max = session.wait_up(UP_LIMIT).packet_max
        except PeerGone as error:
            other = L.SIDES[1 - side]
            raise ConfigError(f"the {other}'s agent does not answer within {UP_LIMIT:.0f} s: start it") from error

        def serve() -> None:
            session.tick()
            with contextlib.suppress(BlockingIOError):
                while port.far.recv(L.FRAME_MAX):
                    pass
            if not session.is_up:
                raise ConfigError(f"the link went down: {session.link.reason}")

        def send(packet: bytes) -> bool:
            serve()
            if len(packet) > packet_max:
                return False
            while True:
                try:
                    port.far.send(packet)
                except OSError as error:
                    if error.errno not in FULL:
                        return False
                    pause(0.0005)
                    continue
                return True

        def pause(length: float) -> None:
            until = time.monotonic() + length
            while (left := until - time.monotonic()) > 0:
                serve()
                time.sleep(min(left, 0.02))

        yield End(f"the {L.SIDES[side]}'s end of {url}", send, pause)
        deadline = time.monotonic() + UP_LIMIT
        while _in_flight(session.window, port, side) and time.monotonic() < deadline:
            pause(0.001)


def _in_flight(window: Window, port: PairPort, side: int) -> bool:
    """True while the pump has packets to take from the port, or the peer from the ring."""
    waiting = bool(readable([port.fds[0]], 0))
    return waiting or view_ring(window.memory, window.geometry, L.DIRECTIONS[side]).fill > 0
