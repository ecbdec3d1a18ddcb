"""`PortClient` and `AsyncPortClient` against agents, and the programs of docs/examples as they stand; without root."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.harness.needs import need
from tests.harness.program_ends import Ends, packets, port_folder
from tests.harness.programs import FPGA, LIMIT, ROOT, X86, agent, started
from tests.harness.sweep import checksum
from vnetcard import (
    CARD,
    HOST,
    AsyncPortClient,
    Closed,
    FrameTooLarge,
    PeerGone,
    PortClient,
    PortUnavailable,
)
from vnetcard.codes.link import LinkReason

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "docs/examples"


@pytest.fixture(scope="module")
def ends() -> Iterator[Ends]:
    with pytest.MonkeyPatch.context() as patch, port_folder() as folder:
        patch.setenv("VNETCARD_RUN_DIR", str(folder / "run"))
        ends = Ends(f"file:{folder / 'window'}", folder)
        with ends.agents:
            yield ends


def opened(ends: Ends, side: int) -> PortClient:
    client = PortClient.open(ends.paths[side], timeout=LIMIT)
    ends.await_reason(1 - side, LinkReason.UP, LinkReason.PEER_PORT_UP)
    return client


def test_packets_of_all_sizes_arrive_as_they_were_sent(ends: Ends) -> None:
    with opened(ends, HOST) as host, opened(ends, CARD) as card:
        for sender, receiver in ((host, card), (card, host)):
            for packet in packets(20):
                assert sender.send(packet)
                assert receiver.recv(timeout=LIMIT) == packet
        assert host.recv(timeout=0) is None
        assert host.recv(timeout=0.01) is None
        with pytest.raises(FrameTooLarge, match="1 to 65553"):
            host.send(b"")
        host.close()
        host.close()
        with pytest.raises(Closed):
            host.send(b"x")
        assert host.fileno() == -1


def test_asyncio_program_echoes_to_a_plain_one_and_a_receiver_can_be_cancelled(ends: Ends) -> None:
    sent = packets(40)

    async def echo() -> None:
        async with await AsyncPortClient.open(ends.paths[CARD], timeout=LIMIT) as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await port.recv()
            ready.set()
            count = 0
            async for packet in port:
                await port.send(packet)
                count += 1
                if count == len(sent):
                    return

    ready = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(echo(),))
    with opened(ends, HOST) as host:
        thread.start()
        try:
            assert ready.wait(LIMIT)
            for packet in sent:
                assert host.send(packet, timeout=LIMIT)
                assert host.recv(timeout=LIMIT) == packet
        finally:
            thread.join()


def test_agent_that_goes_or_serves_another_program_is_an_error_of_its_own() -> None:
    async def received(far: socket.socket) -> None:
        async with AsyncPortClient(far) as port:
            assert [packet async for packet in port] == [b"last"]
            with pytest.raises(PeerGone):
                await port.recv()
            with pytest.raises(PeerGone):
                await port.send(b"x")

    for asynchronous in (False, True):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.send(b"last")
        near.close()
        if asynchronous:
            asyncio.run(received(far))
            continue
        with PortClient(far) as port:
            assert list(port) == [b"last"]
            with pytest.raises(PeerGone, match="stopped, or it already serves another program"):
                port.recv()
            with pytest.raises(PeerGone):
                port.send(b"x")


def test_second_program_is_turned_away(ends: Ends) -> None:
    with opened(ends, CARD), PortClient.open(ends.paths[CARD]) as second, pytest.raises(PeerGone):
        second.recv(timeout=LIMIT)


def test_full_agent_is_false_after_the_timeout() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, PortClient(far) as port:
        sent = 0
        while port.send(bytes(9000), timeout=0):
            sent += 1
        assert sent > 0 and not port.send(bytes(9000), timeout=0.01)


def test_absent_agent_is_one_line(tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.touch()
    stream = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(stream))
        other.listen()
        for path, words in ((tmp_path / "x", "no agent listens there"), (plain, "no agent"), (stream, "SEQPACKET")):
            with pytest.raises(PortUnavailable, match=words):
                PortClient.open(path, timeout=0.03)
            with pytest.raises(PortUnavailable, match=words):
                asyncio.run(AsyncPortClient.open(path, timeout=0.03))


def test_scapy_example_answers_pings_of_every_size(ends: Ends) -> None:
    with example(ends, "answer_pings.py"), opened(ends, HOST) as host:
        for number, size in enumerate((0, 1, 56, 63, 64, 65, 1472, 8972), 1):
            host.send(echo_request(number, size))
            reply = host.recv(timeout=LIMIT)
            assert reply is not None and reply[20] == 0 and reply[12:20] == HOSTS[1] + HOSTS[0]
            assert reply[24:] == echo_request(number, size)[24:] and checksum(reply[20:]) in (0, 0xFFFF)


def test_asyncio_example_echoes_and_reports(ends: Ends) -> None:
    with example(ends, "asyncio_echo.py") as program, opened(ends, HOST) as host:
        for packet in packets(20):
            host.send(packet)
            assert host.recv(timeout=LIMIT) == packet
        assert program.stdout is not None and program.stdout.readline() == "20 packets/s\n"


HOSTS = (bytes([10, 10, 10, 1]), bytes([10, 10, 10, 5]))


@contextlib.contextmanager
def example(ends: Ends, name: str) -> Iterator[subprocess.Popen[str]]:
    """The program of docs/examples, connected to the card's agent."""
    ends.await_reason(HOST, LinkReason.PEER_PORT_DOWN)
    with started([sys.executable, str(EXAMPLES / name), str(ends.paths[CARD])]) as program:
        assert program.stdout is not None and program.stdout.readline() == "connected\n"
        yield program


def echo_request(number: int, size: int) -> bytes:
    icmp = bytes([8, 0, 0, 0]) + number.to_bytes(4, "big") + bytes(n & 0xFF for n in range(size))
    icmp = icmp[:2] + checksum(icmp).to_bytes(2, "big") + icmp[4:]
    head = bytes([0x45, 0]) + (20 + len(icmp)).to_bytes(2, "big") + bytes([0, 0, 0, 0, 64, 1, 0, 0]) + b"".join(HOSTS)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + icmp


@pytest.mark.slow
def test_qemu_example_gets_an_address_by_dhcp_from_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest is the network boot of QEMU's firmware: it asks, gets an offer, and asks for that address."""
    qemu = [need("qemu-system-x86_64"), "-nodefaults", "-display", "none", "-m", "64", "-boot", "n"]
    qemu += ["-netdev", "dgram,id=n,local.type=fd,local.str=FD", "-device", f"virtio-net-pci,netdev=n,mac={GUEST}"]
    with port_folder() as folder:
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(folder / "run"))
        window = ["--window", f"file:{folder / 'window'}"]
        card = [*FPGA, *window, "--port", "fd:FD?frames=ethernet"]
        with (
            agent([*X86, *window, "--port", f"unix:{folder / 'host'}?frames=ethernet"]),
            PortClient.open(folder / "host") as host,
            started([sys.executable, str(EXAMPLES / "qemu_guest.py"), *card, "--", *qemu]),
        ):
            discover = next_dhcp(host)
            assert (discover.src, message_type(discover)) == (GUEST, 1)
            host.send(offer(discover))
            while message_type(request := next_dhcp(host)) != 3:
                host.send(offer(request))
            assert ("requested_addr", "10.10.10.5") in request[DHCP].options


GUEST = "52:54:00:00:00:07"


def next_dhcp(port: PortClient) -> Ether:
    while (frame := port.recv(timeout=LIMIT)) is not None:
        if DHCP in (packet := Ether(frame)):
            return packet
    raise AssertionError(f"no DHCP message within {LIMIT} s")


def message_type(packet: Ether) -> int:
    return int(dict(option for option in packet[DHCP].options if len(option) == 2)["message-type"])


def offer(packet: Ether) -> bytes:
    head = Ether(src="02:00:00:00:00:01", dst=packet.src) / IP(src="10.10.10.1", dst="255.255.255.255")
    bootp = BOOTP(op=2, yiaddr="10.10.10.5", siaddr="10.10.10.1", chaddr=packet[BOOTP].chaddr, xid=packet[BOOTP].xid)
    options: list[tuple[str | int, str | bytes] | str] = [
        ("message-type", "offer"),
        ("server_id", "10.10.10.1"),
        ("subnet_mask", "255.255.255.0"),
    ]
    options += [(175, b"\xb0\x01\x01"), "end"]  # iPXE: do not wait for a second server
    return bytes(head / UDP(sport=67, dport=68) / bootp / DHCP(options=options))
