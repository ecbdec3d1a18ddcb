"""The parsers in Python that read what others wrote: how each is called, and how it may refuse.

A parser may raise its documented errors and no others, within ``limits.py``'s bounds of time and memory.  What it
accepts must be what its documentation says; that is asserted here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.fuzz.side_block import side_block
from vnetcard.agent import config
from vnetcard.agent.control import ControlServer, ask, socket_path
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.cli import info
from vnetcard.errors import ConfigError, LayoutMismatch, PeerGone
from vnetcard.port import neighbour_messages
from vnetcard.port.bpf import Filter
from vnetcard.ring import dissect
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, speaks_our_format
from vnetcard.ring.sideblock import decode_identity
from vnetcard.ring.tap_shm import Event, Reader
from vnetcard.ring.window_dump import view_window
from vnetcard.tap import gso, pcap_reader, remote
from vnetcard.tap.block_file import BlockFile
from vnetcard.tap.clocks import Clocks
from vnetcard.tap.packet_trace import Tracer
from vnetcard.tap.pcap_sink import POINTS, Section, packets_at
from vnetcard.tap.summary import Summary

CLOCK: Final = 1_800_000_000 * 10**9
"""What is added to the times of events, as a capture does: nanoseconds since 1970 when CLOCK_MONOTONIC was 0."""


@dataclass(frozen=True, slots=True)
class Parser:
    """``read`` parses an input; ``refusals``: the documented errors; ``words``: what mutations may insert."""

    read: Callable[[bytes], None]
    refusals: tuple[type[BaseException], ...] = ()
    words: tuple[bytes, ...] = ()


# --- windows -----------------------------------------------------------------------------------------


def with_checksum(header: bytes) -> bytes:
    """``header`` with the checksum that fits it: without it a mutation would stop there."""
    fixed = bytearray(header.ljust(HEADER_BYTES, b"\0"))
    queues = min(L.QUEUES_MAX, struct.unpack_from("<I", fixed, L.SUPERBLOCK.offset("queues"))[0])
    at = L.SUPERBLOCK.offset("checksum")
    plain = bytearray(fixed[: L.LINE])
    plain[:8] = bytes(8)
    plain[at : at + 4] = bytes(4)
    struct.pack_into("<I", fixed, at, zlib.crc32(bytes(plain) + bytes(fixed[L.LINE : L.LINE * (1 + queues)])))
    return bytes(fixed)


def superblock(data: bytes) -> None:
    """The header of a window, as agents read it."""
    speaks_our_format(data)
    for header in (data, with_checksum(data)):
        try:
            geometry = Geometry.decode(header, L.WINDOW_MAX)
        except LayoutMismatch:
            continue
        rings = sorted((ring.offset, ring.size) for pair in geometry.rings for ring in pair)
        assert rings[0][0] >= L.rings_offset(len(geometry.rings))
        ends = [offset + size for offset, size in rings]
        assert all(end <= start for end, (start, _) in zip(ends, rings[1:], strict=False))
        assert ends[-1] <= geometry.window_bytes <= L.WINDOW_MAX
        assert L.RING_MIN <= geometry.ring_bytes <= L.RING_MAX
        assert printable(geometry.describe())


def window(data: bytes) -> None:
    """``vnetcard info`` of any file, as text and as JSON."""
    for copy in (data, with_checksum(data[:HEADER_BYTES]) + data[HEADER_BYTES:]):
        view = view_window("file:fuzz", copy, side=copy[-1] & 1 if copy and copy[-1] & 2 else None)
        json.dumps(view)
        assert printable(info.text(view).replace("\n", " "))
    line = data[:64].ljust(64, b"\0")
    identity = decode_identity(line)
    assert printable(identity.software + identity.machine)


def printable(text: str) -> bool:
    """Whether a terminal shows ``text`` as it is: the peer's bytes are data, never control characters."""
    return text.isprintable()


# --- taps --------------------------------------------------------------------------------------------


def tap_segment(data: bytes) -> None:
    """A tap segment of an agent that writes anything, and everything that trace and capture do with the events."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        reader = Reader(file.fileno())
        try:
            assert reader.state in ("WAITING", "OPEN", "CLOSED")
            assert reader.missed >= 0
            assert reader.noted >= 0
            most = len(data) // L.LINE
            events = [event for _, event in zip(range(most + 1), reader.drain(), strict=False)]
            assert len(events) <= most, "more events than fit the segment"
            use(events)
        finally:
            reader.close()


def use(events: list[Event]) -> None:
    """What trace and capture do with events."""
    tracer = Tracer(shared_clock=True)
    tracer.feed(remote.RecordFilter(lambda data, length: True).select(events))
    clocks = Clocks(shared=True)
    summaries = {direction: Summary(direction) for direction in L.DIRECTIONS}
    for trace in tracer.finished(everything=True):
        summaries[trace.direction].add(trace, clocks)
        assert printable(dissect.describe_packet(trace.data) + trace.drop + dissect.describe_offload(trace.vnet))
    for summary in summaries.values():
        assert printable(summary.text().replace("\n", " "))
        json.dumps(summary.as_json())
    with contextlib.closing(BlockFile(os.open(os.devnull, os.O_WRONLY), "null")) as null:
        section = Section(null, L.FRAME_MAX, "")
        for event in events:
            for packet in packets_at(event, tuple(POINTS), segment=True, clock=CLOCK):
                section.write(packet, 0)
        section.finish()


def tap_line(data: bytes) -> None:
    """A line of an agent on another computer (``trace --peer``)."""
    use([event for line in data.split(b"\n") if isinstance(event := remote.parse(line), Event)])


def super_packet(data: bytes) -> None:
    """A packet with its virtio_net_hdr, from the peer: half its length, the header, bytes that are repeated."""
    length = min(L.FRAME_MAX, 2 * int.from_bytes(data[:2], "little"))
    vnet, start = data[2 : 2 + L.VNET_HDR], data[2 + L.VNET_HDR :]
    packet = (start + start[20:] * (length // max(1, len(start[20:])) + 1))[:length] if len(start) > 20 else start
    cut = gso.segments(packet, vnet)
    assert cut
    assert all(len(piece) <= len(packet) for piece in cut)
    for words in (
        dissect.describe_packet(packet),
        dissect.describe_sample(packet[:64], len(packet)),
        dissect.describe_offload(vnet),
        *(dissect.describe_violation(name, start[:64]) for name in ("viol_prod", "viol_len")),
    ):
        assert printable(words)
    dissect.flow_of(packet)


# --- files and requests ------------------------------------------------------------------------------

_folder: Final = tempfile.TemporaryDirectory(prefix="vnetcard-fuzz-")
"""For files whose parsers take a path; removed when the process ends."""


def _file(data: bytes) -> Path:
    path = Path(_folder.name) / "input"
    path.write_bytes(data)
    return path


def capture(data: bytes) -> None:
    """A capture file to be replayed."""
    found = pcap_reader.read(_file(data))
    assert all(0 < len(packet.data) <= L.FRAME_MAX for packet in found.packets)
    out = Path(_folder.name) / "output"
    pcap_reader.write(out, found.packets)
    assert [packet.data for packet in pcap_reader.read(out).packets] == [packet.data for packet in found.packets]


def configuration(data: bytes) -> None:
    """A configuration file of each side's agent."""
    path = _file(data)
    for side in (L.HOST, L.CARD):
        loaded = config.load(side, ["--config", str(path)])
        assert L.MTU_MIN <= loaded.mtu <= L.MTU_MAX
        assert loaded.side == side


FILTER_WORDS: Final = (
    *("and", "or", "not", "(", ")", "tcp", "udp", "icmp", "ip", "ip6", "port 80", "host 10.0.0.1", "net 10.9.0.0/16"),
    *(
        "vlan",
        "len",
        ">",
        "<",
        "=",
        "&",
        "+",
        "-",
        "*",
        "/",
        "0",
        "1",
        "0xffffffff",
        "ip[0]",
        "tcp[tcpflags]",
        "icmp[4:4]",
    ),
    *(
        "proto 6",
        "src",
        "dst",
        "portrange 1-9",
        "greater 60",
        "less 60",
        "[",
        "]",
        ":",
        "inbound",
        "ether",
        "broadcast",
    ),
)
"""All without names, which libpcap would ask a name server for."""


def packet_filter(data: bytes) -> None:
    """A filter of trace and capture: each byte is one of ``FILTER_WORDS``.  libpcap compiles it and judges packets."""
    text = " ".join(FILTER_WORDS[number % len(FILTER_WORDS)] for number in data[:200])
    compiled = Filter(text)
    for packet in (b"", b"\x45" * 20, bytes(60)):
        compiled(packet, len(packet) + 1)
    compiled.close()


@contextlib.contextmanager
def _server() -> Iterator[tuple[Path, TapRegistry]]:
    """A control server that lends taps and repeats other requests."""
    registry = TapRegistry(L.HOST, lambda: None)

    def answer(question: dict[str, Any]) -> Any:
        return registry.lend(question) if question.get("ask") == "tap" else {"asked": repr(question.get("ask"))}

    with tempfile.TemporaryDirectory(prefix="vnetcard-fuzz-") as folder:
        path = Path(folder) / "agent.sock"
        server = ControlServer(path, answer)
        try:
            yield path, registry
        finally:
            server.close()
            registry.settle([])
            registry.close()


def control(data: bytes) -> None:
    """A request at the control socket: every one is answered by a JSON object, and the next one too."""
    with _server() as (path, registry):
        for request in (data, b'{"ask": "again"}\n'):
            with socket.socket(socket.AF_UNIX) as client, io.BytesIO() as answer:
                client.settimeout(20)
                client.connect(str(path))
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                while not answer.getvalue().endswith(b"\n") and (piece := client.recv(65536)):
                    answer.write(piece)
                said = json.loads(answer.getvalue())
            assert isinstance(said, dict)
            assert said.keys() & {"asked", "error", "bytes"}
            registry.settle([])


def answer(data: bytes) -> None:
    """The answer of what listens at an agent's control socket."""
    with (
        tempfile.TemporaryDirectory(prefix="vnetcard-fuzz-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
        mock.patch.dict(os.environ, VNETCARD_RUN_DIR=folder),
    ):
        listener.bind(str(socket_path("shm:fuzz", L.HOST)))
        listener.listen()
        listener.settimeout(20)
        server = threading.Thread(target=_say, args=(listener, data))
        server.start()
        try:
            assert "error" not in ask("shm:fuzz", L.HOST, "status")
        finally:
            server.join()


def _say(listener: socket.socket, data: bytes) -> None:
    client, _ = listener.accept()
    with client, contextlib.suppress(OSError):
        client.recv(65536)
        client.sendall(data)


_JSON: Final = (b"[", b"{", b'"', b"]", b"}", b"null", b"-1", b"1e999", b"NaN", b"\\ud800", b"9" * 30, b"true", b",")
_TOML: Final = (b"[", b"]", b"=", b'"', b"'", b"\n", b'mtu = 9', b"[[", b"{", b"}", b"\\u0000", b"1979-05-27", b"nan",
                b'window = "shm:a"', b"address = []", b"route = [1]", b"0x", b"-", b"+", b".", b"9" * 30)  # fmt: skip
_PCAPNG: Final = tuple(struct.pack("<I", kind) for kind in (0x0A0D0D0A, 1, 3, 5, 6, 0x1A2B3C4D, 12, 32))


def neighbour(data: bytes) -> None:
    """What machines on an Ethernet say about their addresses, to a port with ``frames=ip``."""
    fixed = bytearray(data)
    if len(data) >= 44:
        fixed[42:44] = bytes(2)
        fixed[42:44] = neighbour_messages.checksum(data[8:24], data[24:40], bytes(fixed[40:])).to_bytes(2, "big")
    for message in (
        neighbour_messages.parse_arp(data),
        neighbour_messages.parse_discovery(data),
        neighbour_messages.parse_discovery(bytes(fixed)),
    ):
        if message is not None:
            assert len(message.mac) == 6
            assert {len(message.asked), len(message.owner), len(message.asker)} <= {0, 4, 16}
            assert message.asked or message.owner
            assert not message.owner or neighbour_messages.is_unicast_mac(message.mac)


PARSERS: Final[dict[str, Parser]] = {
    "superblock": Parser(superblock),
    "window": Parser(window),
    "side_block": Parser(side_block),
    "tap_segment": Parser(tap_segment, (LayoutMismatch,)),
    "tap_line": Parser(tap_line, (ValueError,), _JSON),
    "super_packet": Parser(super_packet),
    "capture": Parser(capture, (ConfigError,), _PCAPNG),
    "configuration": Parser(configuration, (ConfigError,), _TOML),
    "answer": Parser(answer, (PeerGone,), _JSON),
    "filter": Parser(packet_filter, (ConfigError,)),
    "neighbour": Parser(neighbour),
    "control": Parser(control, (), (*_JSON, b'"ask": "tap"', b"ring_bytes")),
}
