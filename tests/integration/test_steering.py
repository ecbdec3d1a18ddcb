"""Flows that send little have the first of several queues to themselves; those that send much go to the others."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.programs import VNETCARD, ip
from tests.harness.restarts import until
from tests.integration.test_queues import flows, sent_by_queue, start_both
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.port import open_port
from vnetcard.port.netns import inside
from vnetcard.port.steering_program import BUCKET, SILENCE
from vnetcard.port.tun import TunPort
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

NAME = "steer0"
QUEUES = 3
LARGE = bytes(1400)
BURST = 2 * BUCKET // len(LARGE)
"""Large packets of which some leave the first queue, if they are sent faster than the bucket leaks."""
ATTEMPTS = 1000
MARK = 40_000
"""Ports from here on are the test's; the kernel sends packets of its own as well."""
TCP, UDP, ICMP = 6, 17, 1
ACK, SYN, PUSH = 0x10, 0x02, 0x08
ETHERTYPE = {4: 0x0800, 6: 0x86DD}


def ip_header(version: int, protocol: int, size: int, *, fragment: int = 0) -> bytes:
    """In front of ``size`` bytes."""
    if version == 4:
        ends = b"".join(ipaddress.ip_address(text).packed for text in ("10.9.9.1", "10.9.9.2"))
        return struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, fragment, 64, protocol, 0) + ends
    ends = b"".join(ipaddress.ip_address(text).packed for text in ("fd09::1", "fd09::2"))
    return struct.pack(">IHBB", 6 << 28, size, protocol, 64) + ends


def udp(version: int, flow: int, payload: bytes = b"x", *, fragment: int = 0) -> bytes:
    body = struct.pack(">HHHH", 20_000, MARK + flow, 8 + len(payload), 0) + payload
    return ip_header(version, UDP, len(body), fragment=fragment) + body


def tcp(version: int, flow: int, flags: int, payload: bytes = b"", *, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    body = struct.pack(">HHIIBBHHH", 20_000, MARK + flow, 0, 0, words << 4, flags, 0, 0, 0) + options + payload
    return ip_header(version, TCP, len(body)) + body


def data(version: int, flow: int) -> bytes:
    """A large segment."""
    return tcp(version, flow, ACK | PUSH, LARGE)


class Steered:
    """A TUN or a TAP of three queues that a kernel sends by, packet by packet as the test wants."""

    def __init__(self, port: TunPort, sender: socket.socket) -> None:
        self.port, self._sender = port, sender
        self._header = L.ETHERNET_HEADER if port.frames == L.FRAMES["ETHERNET"] else 0

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            kind = ETHERTYPE[packet[0] >> 4]
            self._sender.sendto(bytes(12) + struct.pack(">H", kind) + packet if self._header else packet, (NAME, kind))

    def send_raw(self, frame: bytes, ethertype: int) -> None:
        self._sender.sendto(frame, (NAME, ethertype))

    def sends(self) -> bool:
        self.send(udp(4, 0))
        return bool(self.received())

    def received(self) -> list[tuple[int, bytes]]:
        """Queue and IP packet of all that wait; the kernel's own (ICMP, UDP and IGMP to others) are left out."""
        found = []
        for queue, fd in enumerate(self.port.fds):
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet = os.read(fd, 1 << 17)[L.VNET_HDR + self._header :]
                    if bytes(ipaddress.ip_address("10.9.9.2").packed) in packet[:20] or b"\xfd\x09" in packet[8:40]:
                        found.append((queue, packet))
        return found

    def queues_of(self, *packets: bytes) -> list[int]:
        """The queues in which the packets arrive, in no particular order."""
        self.received()
        self.send(*packets)
        arrived = [queue for queue, packet in self.received() if packet in packets]
        assert len(arrived) == len(packets)
        return arrived

    def overflow(self, version: int, flow: int) -> int:
        """Let the TCP connection send much: the queue to which it has gone."""
        for _ in range(ATTEMPTS):
            if others := set(self.queues_of(*[data(version, flow)] * BURST)) - {0}:
                (queue,) = others
                return queue
        raise AssertionError("the flow has not left the first queue")

    def leaves_the_first(self, packets: list[bytes]) -> bool:
        return 0 not in self.burst_and_silence(packets)

    def is_back(self, packets: list[bytes]) -> bool:
        return self.burst_and_silence(packets) == {0}

    def burst_and_silence(self, packets: list[bytes]) -> set[int]:
        """The queues in which one more of ``packets`` arrives, after all of them at once and a silence."""
        self.queues_of(*packets)
        time.sleep(2 * SILENCE)
        return set(self.queues_of(packets[0]))


@pytest.fixture
def steered(netns_pair: tuple[str, str], request: pytest.FixtureRequest) -> Iterator[Steered]:
    """With addresses, up, and with carrier."""
    netns, _ = netns_pair
    port = open_port(f"{getattr(request, 'param', 'tun')}:{NAME}", netns=netns, queues=QUEUES)
    with contextlib.closing(port), inside(netns), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        assert isinstance(port, TunPort)
        port.steer()
        assert port.unsteered == ""
        ip("-n", netns, "link", "set", NAME, "txqueuelen", "10000", "up")
        port.set_carrier(True)
        steered = Steered(port, sender)
        until(steered.sends, "the kernel sends: it has seen the carrier")
        yield steered


both_kinds = pytest.mark.parametrize("steered", ["tun", "tap"], indirect=True)


@both_kinds
@pytest.mark.parametrize("version", [4, 6])
def test_first_queue_has_flows_that_send_little(steered: Steered, version: int) -> None:
    assert steered.queues_of(*(udp(version, flow) for flow in range(300))) == [0] * 300
    assert steered.queues_of(*(tcp(version, flow, ACK | PUSH, b"x") for flow in range(300))) == [0] * 300


@both_kinds
@pytest.mark.parametrize("version", [4, 6])
def test_connection_that_sends_much_has_another_queue_until_it_pauses(steered: Steered, version: int) -> None:
    chosen = {flow: steered.overflow(version, flow) for flow in range(16)}
    assert set(chosen.values()) == {1, 2}
    for flow, queue in chosen.items():
        assert steered.overflow(version, flow) == queue
    for _ in range(ATTEMPTS):
        before = time.monotonic()
        queue = steered.overflow(version, 0)
        now = steered.queues_of(data(version, 0))
        if time.monotonic() - before < SILENCE:
            assert now == [queue]
            break
    else:
        raise AssertionError("the machine never sent for as long as it took: the test shows nothing")
    time.sleep(2 * SILENCE)
    assert steered.queues_of(data(version, 0)) == [0]


@both_kinds
@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_of_a_flow_change_their_queue_only_after_a_silence(steered: Steered, version: int) -> None:
    """So those of a burst arrive in order; after it the flow has another queue, until it has sent little."""
    for flow in range(8):
        burst = [udp(version, flow, LARGE)] * BURST
        for _ in range(ATTEMPTS):
            before = time.monotonic()
            queues = set(steered.queues_of(*burst))
            if time.monotonic() - before < SILENCE:
                assert len(queues) == 1
                break
        else:
            raise AssertionError("the machine never sent for as long as it took: the test shows nothing")
        until(functools.partial(steered.leaves_the_first, burst), "the flow has left the first queue")
        time.sleep(2 * SILENCE)
        until(functools.partial(steered.is_back, burst[:1]), "the flow is back in the first queue")


@pytest.mark.parametrize("version", [4, 6])
def test_segment_that_only_acknowledges_goes_with_the_stream(steered: Steered, version: int) -> None:
    stamps = b"\x01\x01\x08\x0a" + bytes(8)
    for options in (b"", stamps):
        assert 0 not in steered.queues_of(*(tcp(version, flow, ACK, options=options) for flow in range(50)))
        assert 0 not in steered.queues_of(*(tcp(version, flow, ACK | 0xC0, options=options) for flow in range(50)))
        for flags in (SYN, SYN | ACK, ACK | PUSH, ACK | 0x01, ACK | 0x04):
            assert steered.queues_of(tcp(version, 99, flags, options=options)) == [0]
        assert steered.queues_of(tcp(version, 99, ACK, b"x", options=options)) == [0]


def test_only_queues_in_use_are_chosen(steered: Steered) -> None:
    for used, others in ((1, {0}), (2, {1}), (3, {1, 2})):
        steered.port.use_queues(used)
        assert set(steered.queues_of(*(tcp(4, flow, ACK) for flow in range(50)))) == others


@both_kinds
def test_fragments_of_one_sender_are_one_flow(steered: Steered) -> None:
    """Only the first fragment has ports."""
    fragments = [udp(4, flow, LARGE, fragment=0x2000 + flow) for flow in range(BURST)]
    until(functools.partial(steered.leaves_the_first, fragments), "the fragments have left the first queue")
    for _ in range(ATTEMPTS):
        before = time.monotonic()
        queues = set(steered.queues_of(*fragments))
        if time.monotonic() - before < SILENCE:
            assert len(queues) == 1
            break
    else:
        raise AssertionError("the machine never sent for as long as it took: the test shows nothing")


@both_kinds
def test_what_is_no_flow_goes_to_the_first_queue(steered: Steered) -> None:
    assert steered.queues_of(ip_header(4, TCP, 3) + b"123", ip_header(6, TCP, 3) + b"123") == [0, 0]
    steered.received()
    if steered.port.kind == "tap":
        steered.send_raw(bytes(12) + b"\x08\x06" + b"10.9.9.2" + bytes([10, 9, 9, 2]) + bytes(20), 0x0806)
    else:
        steered.send_raw(b"\x45" + bytes([10, 9, 9, 2]), 0x0800)
    assert [queue for queue, _ in steered.received()] == [0]


# --- agents ------------------------------------------------------------------------------------------


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("steering") as lab:
        yield lab


def queues_line(lab: Lab, side: int) -> str:
    shown = subprocess.run(
        [*VNETCARD, "show", "port", "--window", lab.url, "--json"], capture_output=True, text=True, check=True
    )
    view = json.loads(shown.stdout)["port"][L.SIDES[side]]["queues"]
    return str(view["unsteered"])


def test_pings_pass_a_stream_by(lab: Lab, tmp_path: Path) -> None:
    """Pings in the first queue, the stream in the second, and every packet in the ledger."""
    start_both(lab, ("--queues", "2"), ())
    before = sent_by_queue(lab, L.HOST, 2)
    netns = lab.namespaces
    with Stream(netns[0], netns[1], ADDRESSES[1], tmp_path, seed=1, port=5301) as stream:
        stream.wait_progress(since=1 << 20)
        done = subprocess.run(
            run_in(netns[0], [need("ping"), "-n", "-c", "60", "-i", "0.01", "-w", "60", ADDRESSES[1]]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert int(done.stdout.partition(" received")[0].rpartition(" ")[2]) >= 50, done.stdout
        stream.wait_progress(since=stream.position + (1 << 20))
        stream.finish()
    first, second = (now - then for now, then in zip(sent_by_queue(lab, L.HOST, 2), before, strict=True))
    assert first >= 50 and second >= 20
    assert_ledgers_balance(lab)
    assert queues_line(lab, L.HOST) == queues_line(lab, L.CARD) == ""


def test_agent_without_the_permission_says_that_the_kernel_chooses(lab: Lab) -> None:
    with Path("/proc/sys/kernel/unprivileged_bpf_disabled").open() as setting:
        assert setting.read().strip() in ("1", "2"), "everybody may load programs here: the test shows nothing"
    limited = [need("setpriv"), "--bounding-set", "-bpf,-sys_admin", *lab.commands[L.HOST], "--queues", "2"]
    lab.commands[L.HOST] = run_in(lab.namespaces[L.HOST], limited)
    lab.start_port(L.HOST, "tun:tun0")
    lab.start(L.CARD)
    lab.wait_up()
    assert "Operation not permitted" in queues_line(lab, L.HOST)
    assert queues_line(lab, L.CARD) == ""
    for side in (L.HOST, L.CARD):
        flows(lab, side, 60)
    assert_ledgers_balance(lab)


def test_program_of_an_earlier_agent_is_removed(lab: Lab) -> None:
    keep = ("--persist",)
    start_both(lab, ("--queues", "2", *keep), keep)
    lab.stop(L.HOST)
    lab.start(L.HOST, "--queues", "2", *keep, "--steering", "kernel")
    lab.wait_up()
    assert "the kernel chooses" in queues_line(lab, L.HOST)

    def spread() -> bool:
        before = sent_by_queue(lab, L.HOST, 2)
        flows(lab, L.HOST, 60)
        return all(now > then for now, then in zip(sent_by_queue(lab, L.HOST, 2), before, strict=True))

    until(spread, "flows that send little are in both queues")
