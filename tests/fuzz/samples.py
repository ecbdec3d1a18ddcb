"""Real inputs of the parsers in Python, made by our own writers with fixed names and times, and regressions.

A regression is an input that a parser once mishandled: it says what went wrong.

``python -m tests.fuzz.samples`` writes them into the corpora again, beside the inputs that a search has found.
"""

from __future__ import annotations

import json
import os
import platform
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest import mock

from tests.fuzz import corpora, side_block
from tests.fuzz.parsers import FILTER_WORDS
from vnetcard._core import Memory
from vnetcard.port import neighbour_messages as messages
from vnetcard.ring import layout as L
from vnetcard.ring import sideblock, tap_shm
from vnetcard.ring import tap_layout as T
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.ring.tap_shm import Event, Segment, TapRequest
from vnetcard.ring.window_dump import aligned
from vnetcard.tap import pcap_reader, remote
from vnetcard.tap.pcap_sink import FileSink, TapPacket

PING: Final = bytes.fromhex("4500001c00010000400166cc0a0a0a010a0a0a050800f7fe00000001")
TCP4: Final = bytes.fromhex("4500003c00014000400612ac0a0a0a010a0a0a05") + struct.pack(
    "!HHIIBBHHH", 1234, 80, 1, 2, 0x50, 0x18, 512, 0, 0
)
UDP6: Final = bytes.fromhex("6000000000141140") + bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(
    "!HHHH", 53, 999, 20, 0
) + bytes(12)  # fmt: skip
NOW: Final = 1_800_000_000 * 10**9


def _vnet(kind: int, size: int, start: int, offset: int) -> bytes:
    return struct.pack("<BBHHHH", 1, kind, start + 20, size, start, offset)


# --- windows -----------------------------------------------------------------------------------------


def superblock() -> dict[str, bytes]:
    """Headers of windows."""
    return {
        f"{queues} queues of {size >> 10} KiB": Geometry.plan(size, queues=queues, instance=7, removable=False)
        .encode()
        .ljust(HEADER_BYTES, b"\0")
        for queues, size in ((1, 16 << 10), (2, 1 << 20), (15, 64 << 20))
    }


def _window(queues: int, size: int, packets: int) -> bytes:
    """A window with records in its rings and owners of both sides."""
    geometry = Geometry.plan(size, queues=queues, instance=7, removable=False)
    buffer = aligned(bytes(size))
    memory = Memory(buffer)
    memory.write(0, geometry.encode().ljust(HEADER_BYTES, b"\0")[: L.LINE * (1 + queues)])
    for side in (L.HOST, L.CARD):
        with (
            mock.patch.object(os, "getpid", lambda: 4242),
            mock.patch("time.time_ns", lambda: NOW),
            mock.patch("socket.gethostname", lambda: "machine"),
        ):
            sideblock.SideBlock(memory, side).write_identity()
        block = sideblock.SideBlock(memory, side)
        for field, value in (
            ("epoch", 7 + side),
            ("answered", 8 - side),
            ("state", 2),
            ("features", 0x11F),
            ("mtu", 1500),
        ):
            block.store(field, value)
        block.beat()
        block.count("link_up")
        fifo = Fifo(memory, geometry, L.DIRECTIONS[side], role="producer")
        for number in range(packets):
            fifo.try_push(PING + bytes(number))
        fifo.close()
    copy = bytes(buffer)
    memory.close()
    return copy


def window() -> dict[str, bytes]:
    """Whole windows."""
    plain = _window(1, 16 << 10, 9)
    at = L.side_offset(L.CARD) + L.LINE + 16
    return {
        "window with records": plain,
        "window of two queues": _window(2, 32 << 10, 0),
        "regression: control characters in the peer's name": plain[:at] + b"\x1b]0;x\x07" + plain[at + 6 :],
    }


# --- taps --------------------------------------------------------------------------------------------


def _event(stage: str, seq: int, data: bytes = b"", **more: int) -> bytes:
    """An event as a pump writes it."""
    size = L.LINE + -(-len(data) // L.LINE) * L.LINE
    values = {"drop": 0, "flags": 0, "len": len(data) or 1, "index": 64 * seq, "before": 5, "value": 0} | more
    head = tap_shm._EVENT.pack(
        size, T.STAGES[stage], values["drop"], values["flags"], 1000 + seq, 7 << 32 | 8, seq, values["len"],
        values["index"], len(data), values["before"], _vnet(1, 500, 20, 16), 0, values["value"],
    )  # fmt: skip
    return (head + data).ljust(size, b"\0")


def tap_segment() -> dict[str, bytes]:
    """Segments of small rings; the reader takes their size from the head."""
    with mock.patch.object(os, "getpid", lambda: 4242):
        segment = Segment(L.HOST, TapRequest(0x3F, 0x3F, 100, 1, 4096))
    tx = _event("READ", 0, TCP4, flags=1) + _event("COMMIT", 0) + _event("PUBLISH", 0, value=3)
    tx += _event("READ", 1, PING, drop=11, flags=2)
    rx = _event("PEEK", 0, UDP6) + _event("WRITE", 0, UDP6, drop=8, value=22) + _event("RELEASE", 0)
    for events, end, ring in ((tx, "tx", T.RINGS_OFFSET), (rx, "rx", T.RINGS_OFFSET + 4096)):
        segment._map[ring : ring + len(events)] = events
        segment._memory.store32(T.LINES[f"{end}_prod"], len(events))
        segment._memory.store64(T.LINES[f"{end}_prod"] + T.PROD.offset("noted"), 4)
    segment.set_state("OPEN")
    copy = segment._map[:]
    segment.close()

    def changed(at: int, value: bytes) -> bytes:
        return copy[:at] + value + copy[at + len(value) :]

    event, far = T.RINGS_OFFSET, b"\xc0\xff\xff\xff"
    return {
        "events of both pumps": copy,
        "regression: event of no bytes is read without end": changed(event, bytes(4)),
        "regression: event of an unknown stage": changed(event + T.EVENT.offset("stage"), b"\x09"),
        "regression: segment in an unknown state": changed(T.HEAD.offset("state"), b"\x09"),
        "regression: head of an unknown side": changed(T.HEAD.offset("side"), b"\x09"),
        "regression: rings larger than the segment": changed(T.HEAD.offset("ring_bytes"), b"\0\0\1\0"),
        "regression: prod beyond the ring": changed(T.LINES["tx_prod"], far),
        "regression: time after 2262": changed(event + T.EVENT.offset("time"), b"\xff" * 8),
        "regression: batch of four thousand million records": changed(event + 3 * L.LINE + T.EVENT.offset("len"), far),
        "regression: errno that no C library knows": changed(
            T.RINGS_OFFSET + 4096 + 2 * L.LINE + T.EVENT.offset("value"), b"\xff" * 4
        ),
        "regression: segment that is cut": copy[:5000],
        "regression: empty segment": b"",
    }


def tap_line() -> dict[str, bytes]:
    """Lines of ``trace --export``."""
    read = Event(0, "h2c", 0, "READ", 0, 1, 1000, (7, 8), 3, 60, 64, 5, 0, _vnet(1, 500, 20, 16), TCP4)
    publish = Event(0, "h2c", 0, "PUBLISH", 0, 0, 1001, (7, 8), 3, 1, 128, 5, 3, b"", b"")
    refused = Event(1, "h2c", 0, "WRITE", 8, 0, 1002, (7, 8), 3, 60, 128, 5, 22, b"", PING)
    lines = [remote.encode(read), remote.encode(publish), json.dumps({"missed": 3}), remote.encode(refused)]
    whole = "\n".join(lines)
    return {
        "lines of one record": whole.encode(),
        "regression: time with a fraction": whole.replace("1000, [7", "1e3, [7").encode(),
        "regression: epochs that are no numbers": whole.replace("[7, 8]", "[[], {}]").encode(),
        "regression: direction that does not exist": whole.replace("h2c", "x").encode(),
        "regression: stage that is an object": whole.replace('"READ"', "{}").encode(),
        "regression: direction that is a list": whole.replace('"h2c"', "[]").encode(),
        "regression: deep nesting": b"[" * 100_000,
        "regression: missed events as a list": b'{"missed": [1]}',
        "regression: no missed events": b"{}",
        "regression: batch of four thousand million records": (
            lines[0] + "\n" + lines[1].replace("3, 1, 128", "3, 4294967295, 128")
        ).encode(),
    }


def super_packet() -> dict[str, bytes]:
    """Packets with their virtio_net_hdr."""
    return {
        "TCP over IPv4": struct.pack("<H", 1500) + _vnet(1, 1448, 20, 16) + TCP4,
        "UDP over IPv6": struct.pack("<H", 1500) + _vnet(5, 1200, 40, 6) + UDP6,
        "checksum only": struct.pack("<H", 30) + _vnet(0, 0, 20, 16) + TCP4,
        "echo request": struct.pack("<H", 14) + bytes(10) + PING,
        "regression: longer than IP can express": struct.pack("<H", 32790) + _vnet(1, 65535, 20, 16) + TCP4[:-1],
        "regression: segments that repeat 32 KiB of headers": struct.pack("<H", 32500) + _vnet(1, 1, 32000, 16) + TCP4,
        "segments of one byte": struct.pack("<H", 32500) + _vnet(1, 1, 20, 16) + TCP4,
    }


# --- files and requests ------------------------------------------------------------------------------


def _captured() -> bytes:
    with tempfile.TemporaryDirectory() as folder, mock.patch("time.time_ns", lambda: NOW):
        path = Path(folder) / "capture.pcapng"
        with mock.patch.object(platform, "release", lambda: "6.1.0"), mock.patch.object(platform, "machine", str):
            sink = FileSink(path, L.FRAME_MAX, "icmp")
        for number, packet in enumerate((PING, TCP4, UDP6)):
            sink.write(
                TapPacket("port", L.HOST, 1 + number % 2, NOW + number, packet, len(packet), ("c",)), missed=number
            )
        sink.close()
        return path.read_bytes()


def _replayable() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.pcap"
        pcap_reader.write(path, [pcap_reader.Packet(NOW, PING), pcap_reader.Packet(NOW + 1, UDP6)])
        return path.read_bytes()


def _ethernet() -> bytes:
    """A capture of tcpdump at an Ethernet, in the other byte order, with a VLAN."""
    frame = bytes(12) + b"\x81\0\0\1\x08\0" + PING
    return struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack(
        ">IIII", 1, 2, len(frame), len(frame)
    ) + frame  # fmt: skip


def capture() -> dict[str, bytes]:
    """Capture files."""
    captured = _captured()
    stamp = captured.index(struct.pack("<I", NOW >> 32))
    return {
        "pcapng of capture": captured,
        "pcap of replay": _replayable(),
        "Ethernet, big-endian": _ethernet(),
        "regression: packet of the year 2400": captured[:stamp] + b"\xff\xff\xff\xbf" + captured[stamp + 4 :],
    }


def configuration() -> dict[str, bytes]:
    """The files that the package ships, and one with every key."""
    root = Path(__file__).resolve().parents[2]
    full = (
        'window = "shm:lab0+1M"\nport = "tun:tun7"\naddress = ["10.9.9.1/24", "fd00::1/64"]\nmtu = 9000\n'
        'route = ["10.8.0.0/16"]\nnetns = "lab"\nqueue-bytes = "64K"\nqueues = 2\nwait = "poll"\n'
        'offload = "csum,tso4"\npersist = true\nlog-level = "debug"\njson-log = true\n'
    )
    return {
        "host": (root / "x86_side/vnetcard-x86.toml").read_bytes(),
        "card": (root / "fpga_side/vnetcard-fpga.toml").read_bytes(),
        "every key": full.encode(),
        "UTF-16": 'mtu = 1500\nname = "tün0"\n'.encode("utf-16"),
    }


def packet_filter() -> dict[str, bytes]:
    """Filters; a byte is a word."""
    texts = {
        "icmp": ["icmp"],
        "TCP of a host or net": ["tcp", "port 80", "and", "(", "host 10.0.0.1", "or", "net 10.9.0.0/16", ")"],
        "arithmetic": ["len", ">", "0xffffffff", "and", "icmp[4:4]", "=", "1"],
        "no expression": ["and", "(", ">"],
    }
    return {name: bytes(map(FILTER_WORDS.index, words)) for name, words in texts.items()}


def control() -> dict[str, bytes]:
    """Requests at the control socket."""
    tap = TapRequest(0x3F, 0x3F, 100, 1, 1 << 18).as_question()
    return {
        "status": b'{"ask": "status"}\n',
        "tap": json.dumps(tap).encode() + b"\n",
        "no object": b"[1, 2]\n",
        "deeply nested": b"[" * 50_000 + b"\n",
    }


def answer() -> dict[str, bytes]:
    """Answers of an agent."""
    return {
        "status": b'{"side": "host", "window": {"url": "shm:fuzz"}, "problems": []}\n',
        "refusal": b'{"error": "unknown question"}\n',
        "no object": b"[1]\n",
        "nothing": b"",
    }


def neighbour() -> dict[str, bytes]:
    """Messages of ARP and of neighbour discovery."""
    mac, four = bytes.fromhex("020000000001"), bytes([10, 10, 10, 1])
    six = bytes.fromhex("fd000000000000000000000000000001")
    group = messages.solicited_group(six)
    return {
        "ARP request": messages.arp(True, mac, four, messages.NO_MAC, four),
        "ARP reply": messages.arp(False, mac, four, mac, four),
        "solicitation": messages.solicitation(mac, six, group, six),
        "probe": messages.solicitation(mac, bytes(16), group, six),
        "advertisement": messages.advertisement(mac, six, six, solicited=True),
        "regression: ARP reply without an address": messages.arp(False, mac, bytes(4), mac, four),
        "option of no bytes": messages.advertisement(mac, six, six, solicited=True)[:-7] + bytes(7),
    }


SAMPLES: Final[dict[str, Callable[[], dict[str, bytes]]]] = {
    "superblock": superblock, "window": window, "tap_segment": tap_segment, "tap_line": tap_line,
    "super_packet": super_packet, "capture": capture, "configuration": configuration, "control": control,
    "side_block": side_block.honest, "filter": packet_filter, "answer": answer, "neighbour": neighbour,
}  # fmt: skip


def main() -> None:
    """Write the samples into the corpora; what a search has found, and regressions, stay."""
    for name, make in SAMPLES.items():
        old = corpora.load(name) if (corpora.CORPUS / f"{name}.hex").exists() else {}
        old = {called: data for called, data in old.items() if called == corpora.digest(data)}
        corpora.store(name, make() | old)


if __name__ == "__main__":
    main()
