"""Capture files are read by other people's tools, and end at a block whatever ends the capture."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.harness.needs import need
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.tap import pcap_reader
from vnetcard.tap.block_file import BlockFile
from vnetcard.tap.pcap_sink import POINTS, FileSink, TapPacket

PING = bytes.fromhex("4500001c00010000400166cc0a0a0a010a0a0a050800f7fe00000001")
NOW = 1_800_000_000 * 10**9
PACKETS = 12


def packet(side: int, point: str, number: int) -> TapPacket:
    return TapPacket(point, side, 1 + number % 2, NOW + number, PING, len(PING), (f"record {number}", "dropped: none"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A capture of every tap point of both sides."""
    path = tmp_path / "all.pcapng"
    sink = FileSink(path, L.FRAME_MAX, "icmp")
    places = [(side, point) for side in (L.HOST, L.CARD) for point in POINTS]
    for side, point in places:
        sink.declare(side, point)
    for number in range(PACKETS):
        sink.write(packet(*places[number % len(places)], number), missed=number % 3)
    sink.close()
    return path


def output(*command: str | Path) -> str:
    words = [need(str(command[0])), *map(str, command[1:])]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def read_by_tcpdump(file: Path) -> int:
    return output("tcpdump", "-n", "-r", file).count("10.10.10.1 > 10.10.10.5: ICMP echo request")


def read_by_tshark(file: Path) -> int:
    return output("tshark", "-r", file, "-Y", 'icmp.type == 8 && frame.interface_name contains "-"').count("\n")


def read_by_capinfos(file: Path) -> int:
    lines = output("capinfos", "-M", "-T", "-r", "-c", "-E", file).split()
    assert "rawip" in lines
    return int(lines[-1])


def read_by_editcap(file: Path) -> int:
    """Converted to the classic format, which has one link type for all packets."""
    output("editcap", "-F", "pcap", file, file.with_suffix(".pcap"))
    return len(pcap_reader.read(file.with_suffix(".pcap")).packets)


def read_by_scapy(file: Path) -> int:
    utils, ip = import_module("scapy.utils"), import_module("scapy.layers.inet").IP
    with utils.PcapNgReader(str(file)) as packets:
        return sum(ip in one and one[ip].dst == "10.10.10.5" for one in packets)


def read_by_python_pcapng(file: Path) -> int:
    pcapng = import_module("pcapng")
    with file.open("rb") as stream:
        blocks = [block for block in pcapng.FileScanner(stream) if isinstance(block, pcapng.blocks.EnhancedPacket)]
    assert {block.packet_data for block in blocks} == {PING}
    return len(blocks)


def read_by_replay(file: Path) -> int:
    names = [f"{side}-{point}" for side in L.SIDES for point in POINTS]
    return sum(len(pcap_reader.read(file, interface=name).packets) for name in names)


@pytest.mark.filterwarnings("ignore:Field type should not be:DeprecationWarning")  # python-pcapng warns of itself
@pytest.mark.parametrize(
    "reader",
    [
        read_by_tcpdump,
        read_by_tshark,
        read_by_capinfos,
        read_by_editcap,
        read_by_scapy,
        read_by_python_pcapng,
        read_by_replay,
    ],
)
def test_capture_of_all_tap_points_is_read(file: Path, reader: Callable[[Path], int]) -> None:
    assert reader(file) == PACKETS


# --- full disks --------------------------------------------------------------------------------------


@pytest.fixture
def size_limit() -> Iterator[Callable[[int], None]]:
    """Limit the files of this process to a size in bytes, as a disk that becomes full does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [3000, 3001, 4095, 70_000])
def test_capture_on_a_full_disk_ends_at_a_block(tmp_path: Path, size_limit: Callable[[int], None], limit: int) -> None:
    path = tmp_path / "full.pcapng"
    sink = FileSink(path, L.FRAME_MAX, "")
    size_limit(limit)
    with pytest.raises(ConfigError) as caught:
        for number in range(10_000):
            sink.write(packet(L.HOST, "port", number), missed=0)
            if number % 7 == 0:
                sink.flush()
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert limit - 200 < path.stat().st_size <= limit
    assert len(pcap_reader.read(path).packets) > 15


def test_device_that_is_full_is_one_error() -> None:
    file = BlockFile(os.open("/dev/full", os.O_WRONLY), "standard output")
    file.write(b"block")
    with pytest.raises(ConfigError, match="standard output") as caught:
        file.close()
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    file.close()


def test_closed_pipe_stays_a_broken_pipe() -> None:
    reading, writing = os.pipe()
    file = BlockFile(writing, "standard output")
    os.close(reading)
    file.write(b"block")
    with pytest.raises(BrokenPipeError):
        file.flush()
    file.close()
