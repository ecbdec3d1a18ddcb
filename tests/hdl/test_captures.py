"""Capture files are read as tcpdump reads them, and files that cannot be replayed are refused in one line."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.hdl import replay
from vnetcard.errors import ConfigError
from vnetcard.tap import pcap_reader
from vnetcard.tap.pcap_reader import RAW, Packet

SAMPLE = Path(__file__).with_name("data") / "ping-and-tcp.pcap"
IP4 = bytes.fromhex("450000150000000040fd0000c6336401c000020121")
IP6 = b"\x60" + bytes(39)


def tcpdump(*arguments: str | Path) -> str:
    done = subprocess.run([need("tcpdump"), "-nn", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def as_tcpdump_sees(path: Path) -> list[tuple[int, bytes]]:
    """Return (time stamp in nanoseconds, IP packet) of each packet that tcpdump lists."""
    listed = tcpdump("--time-stamp-precision=nano", "-tt", "-x", "-r", path)
    found: list[tuple[int, bytes]] = []
    for line in listed.splitlines():
        if line.startswith("\t0x"):
            time, data = found[-1]
            found[-1] = time, data + bytes.fromhex(line.split(":", 1)[1].replace(" ", ""))
        else:
            seconds, part = line.split()[0].split(".")
            found.append((int(seconds) * 1_000_000_000 + int(part), b""))
    return found


def file_of(
    *frames: bytes, link: int = RAW, order: str = "<", magic: int = 0xA1B2C3D4, kept: int | None = None
) -> bytes:
    """Return a capture file with one frame per second."""
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for n, frame in enumerate(frames):
        out += struct.pack(f"{order}IIII", 100 + n, 7, len(frame) if kept is None else kept, len(frame)) + frame[:kept]
    return out


def test_packets_and_stamps_are_those_that_tcpdump_lists() -> None:
    capture = pcap_reader.read(SAMPLE)
    assert [(packet.time, packet.data) for packet in capture.packets] == as_tcpdump_sees(SAMPLE)
    assert {len(packet.data) for packet in capture.packets} >= {28, 84, 92, 540, 1500}


def test_tcpdump_reads_what_is_written(tmp_path: Path) -> None:
    packets = [Packet(1_700_000_000_123_456_789 + n, IP4) for n in range(3)]
    pcap_reader.write(tmp_path / "out.pcap", packets)
    assert as_tcpdump_sees(tmp_path / "out.pcap") == [(packet.time, packet.data) for packet in packets]
    assert pcap_reader.read(tmp_path / "out.pcap").packets == tuple(packets)


def test_nanosecond_file_of_tcpdump_holds_the_same_packets(tmp_path: Path) -> None:
    tcpdump("--time-stamp-precision=nano", "-r", SAMPLE, "-w", tmp_path / "nano.pcap")
    assert (tmp_path / "nano.pcap").read_bytes()[:4] != SAMPLE.read_bytes()[:4]
    assert pcap_reader.read(tmp_path / "nano.pcap") == pcap_reader.read(SAMPLE)


@pytest.mark.parametrize(("magic", "time"), [(0xA1B2C3D4, 7000), (0xA1B23C4D, 7)], ids=["micro", "nano"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_both_byte_orders_and_units_are_read(tmp_path: Path, order: str, magic: int, time: int) -> None:
    (tmp_path / "in.pcap").write_bytes(file_of(IP4, IP6, order=order, magic=magic))
    assert pcap_reader.read(tmp_path / "in.pcap").packets == (
        Packet(100_000_000_000 + time, IP4),
        Packet(101_000_000_000 + time, IP6),
    )


@pytest.mark.parametrize(
    ("link", "header"),
    [
        (1, bytes(12) + b"\x08\x00"),
        (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00"),
        (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00"),
        (113, bytes(14) + b"\x08\x00"),
        (276, b"\x08\x00" + bytes(18)),
        (228, b""),
    ],
    ids=["ethernet", "vlan", "two vlans", "cooked", "cooked v2", "raw IPv4"],
)
def test_link_header_is_removed(tmp_path: Path, link: int, header: bytes) -> None:
    (tmp_path / "in.pcap").write_bytes(file_of(header + IP4, link=link))
    assert [packet.data for packet in pcap_reader.read(tmp_path / "in.pcap").packets] == [IP4]
    assert [data[-len(IP4) :] for _, data in as_tcpdump_sees(tmp_path / "in.pcap")] == [IP4], (
        "tcpdump reads the test file differently"
    )


def test_frames_that_are_not_ip_are_skipped_and_counted(tmp_path: Path) -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    (tmp_path / "in.pcap").write_bytes(file_of(arp, bytes(12) + b"\x08\x00" + IP4, arp, link=1))
    capture = pcap_reader.read(tmp_path / "in.pcap")
    assert ([packet.data for packet in capture.packets], capture.others) == ([IP4], 2)


def as_pcapng(source: Path, *options: str) -> Path:
    target = source.with_suffix(".pcapng")
    subprocess.run([need("editcap"), "-F", "pcapng", *options, source, target], check=True)
    return target


def test_pcapng_of_wireshark_holds_the_same_packets(tmp_path: Path) -> None:
    (tmp_path / "in.pcap").write_bytes(SAMPLE.read_bytes())
    assert pcap_reader.read(as_pcapng(tmp_path / "in.pcap")) == pcap_reader.read(SAMPLE)
    pcap_reader.write(tmp_path / "nano.pcap", [Packet(1_700_000_000_123_456_789, IP4)])
    assert pcap_reader.read(as_pcapng(tmp_path / "nano.pcap")) == pcap_reader.read(tmp_path / "nano.pcap")


def block(order: str, kind: int, body: bytes) -> bytes:
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def pcapng_of(order: str = "<", *, interfaces: tuple[bytes, ...] = (b"a", b"b"), stamp: int = 7) -> bytes:
    """Return a pcapng file with one packet per interface, units of 2^-10 s, offset 1000 s; the first is outbound."""
    out = block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    for name in interfaces:
        options = struct.pack(f"{order}HH", 2, len(name)) + name + bytes(-len(name) % 4)
        options += struct.pack(f"{order}HHB3xHHqHH", 9, 1, 0x8A, 14, 8, 1000, 0, 0)
        out += block(order, 1, struct.pack(f"{order}HHI", RAW, 0, 0) + options)
    for n in range(len(interfaces)):
        body = struct.pack(f"{order}IIIII", n, 0, stamp << 10, len(IP4), len(IP4)) + IP4 + bytes(-len(IP4) % 4)
        out += block(order, 6, body + struct.pack(f"{order}HHIHH", 2, 4, 2 if n == 0 else 1, 0, 0))
    return out + block(order, 0x0BAD, b"skip")


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_interface_and_direction_of_a_pcapng_file_are_selected(tmp_path: Path, order: str) -> None:
    (tmp_path / "in.pcapng").write_bytes(pcapng_of(order))
    for name in ("a", "b"):
        found = pcap_reader.read(tmp_path / "in.pcapng", interface=name)
        assert found.packets == (Packet(1_007_000_000_000, IP4),)
    assert pcap_reader.read(tmp_path / "in.pcapng", interface="a", direction="out").packets
    for wrong, why in (
        ({}, "choose one of a, b"),
        ({"interface": "c"}, "but of a, b"),
        ({"interface": "a", "direction": "in"}, "no IP packet"),
    ):
        with pytest.raises(ConfigError, match=why):
            pcap_reader.read(tmp_path / "in.pcapng", **wrong)  # type: ignore[arg-type]


def test_pcapng_that_ends_or_is_damaged_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    whole = pcapng_of(interfaces=(b"a",))
    file = tmp_path / "in.pcapng"
    for at in range(4, len(whole)):
        for damaged in (whole[:at], whole[:at] + b"\xff" + whole[at + 1 :], whole[:at] + b"\0\0\0\0" + whole[at + 4 :]):
            file.write_bytes(damaged)
            with contextlib.suppress(ConfigError):
                pcap_reader.read(file)


WHOLE = file_of(IP4, IP4)
BAD = {
    "broken pcapng": (b"\x0a\x0d\x0d\x0a" + bytes(40), "ends within a block"),
    "text": (b"hello", "is not a capture file: it starts with 68656c6c"),
    "nothing": (b"", "is not a capture file: it starts with nothing"),
    "half a header": (WHOLE[:20], "is not a capture file"),
    "no packets": (file_of(), "holds no IP packet"),
    "only ARP": (file_of(bytes(12) + b"\x08\x06" + bytes(28), link=1), "holds no IP packet (1 others)"),
    "802.11": (file_of(IP4, link=105), "has the unsupported link type 105"),
    "cut packets": (file_of(IP4, kept=16), "packet 1 was cut from 21 to 16 bytes: capture with tcpdump -s 0"),
    "end within a header": (WHOLE[:-30], "ends within packet 2"),
    "end within a packet": (WHOLE[:-3], "ends within packet 2"),
    "length beyond the file": (WHOLE[:32] + b"\xff" * 8 + WHOLE[40:], "ends within packet 1"),
    "too large": (file_of(bytes(65_601)), "packet 1 has 65601 bytes, a record holds 65600"),
}


@pytest.mark.parametrize("what", BAD)
def test_file_that_cannot_be_replayed_is_refused_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, why = BAD[what]
    (tmp_path / "in.pcap").write_bytes(data)
    assert replay.main([str(tmp_path / "in.pcap")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err and str(tmp_path / "in.pcap") in err and err.count("\n") == 1


def test_missing_file_and_impossible_target_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, why in (
        ((tmp_path / "absent.pcap",), "absent.pcap: cannot be read (No such file or directory)"),
        ((tmp_path,), "cannot be read (Is a directory)"),
        ((SAMPLE, "--out", tmp_path / "no/out.pcap"), "no/out.pcap cannot be written: name a file in a folder that"),
        ((SAMPLE, "--out", tmp_path), "cannot be written"),
        ((SAMPLE, "--out", SAMPLE), "is the capture itself: name another file for the output"),
    ):
        assert replay.main([str(argument) for argument in arguments]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert why in err and err.count("\n") == 1


@pytest.mark.hdl  # `make hdl` wants every system package of the tests
def test_make_passes_the_file_on_and_fails_with_it(tmp_path: Path) -> None:
    """Run `make hdl` with a file name that contains a space."""
    (tmp_path / "a capture.txt").write_text("hello")
    root = Path(__file__).resolve().parents[2]
    command = [need("make"), "-s", "-C", str(root), "hdl", f"VENV={sys.prefix}", f"PCAP={tmp_path}/a capture.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"replay: {tmp_path}/a capture.txt is not a capture file" in done.stderr
    assert "Traceback" not in done.stderr
