"""The ping-size suite with the real ping: over a veth pair between namespaces, and against an echo that cheats."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.pings import run_pings
from vnetcard.cli import ping
from vnetcard.ping import suite
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target, run_suite

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0 and "CI" not in os.environ, reason="needs root for network namespaces"),
]

ECHO = Target("10.98.7.2")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two namespaces joined by a veth pair: ``left`` has 10.99.7.1, ``right`` has 10.99.7.2, both on eth0."""

    left: str
    right: str

    def targets(self) -> list[Target]:
        return [Target("10.99.7.2", self.left), Target("10.99.7.1", self.right)]

    def words(self) -> list[str]:
        return [target.name for target in self.targets()]


@pytest.fixture
def pair() -> Iterator[Pair]:
    unique = f"{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
    names = Pair(f"vnping-l-{unique}", f"vnping-r-{unique}")
    made = []
    try:
        for netns in (names.left, names.right):
            ip("netns", "add", netns)
            made.append(netns)
        ip("link", "add", "eth0", "netns", names.left, "type", "veth", "peer", "name", "eth0", "netns", names.right)
        for last, netns in enumerate((names.left, names.right), start=1):
            ip("-n", netns, "addr", "add", f"10.99.7.{last}/24", "dev", "eth0")
            ip("-n", netns, "addr", "add", f"fd99:7::{last}/64", "dev", "eth0", "nodad")
            ip("-n", netns, "link", "set", "eth0", "up")
        yield names
    finally:
        for netns in made:
            ip("netns", "del", netns)


def run_command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    ping.add_parser(parser.add_subparsers())
    args = parser.parse_args(["ping", *words])
    status: int = args.run(args)
    return status


def test_all_default_sizes_pass_in_both_directions_without_loss(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(*pair.words()) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"all {len(DEFAULT_SIZES)} sizes, both directions: 0% loss"


def test_ipv6_passes_too(pair: Pair) -> None:
    results = run_pings([Target("fd99:7::2", pair.left)], (8, 56, 1473, 65507), count=5)
    assert [result.received for result in results] == [5] * 4
    assert all(result.ok for result in results), results


def test_namespace_may_be_a_path(pair: Pair) -> None:
    (result,) = run_pings([Target("10.99.7.2", f"/run/netns/{pair.left}")], [56], count=3)
    assert result.ok, result


def test_smaller_mtu_of_the_peer_loses_just_the_large_sizes(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    ip("-n", pair.left, "link", "set", "eth0", "mtu", "9000")  # veth drops what exceeds the receiver's MTU
    assert run_command(pair.words()[0], "--json", "--count", "5", "--sizes", "56", "1472", "2048", "4096") == 1
    results = json.loads(capsys.readouterr().out)["results"]
    assert {result["size"]: result["lost"] for result in results} == {56: 0, 1472: 0, 2048: 5, 4096: 5}


def test_link_that_goes_down_midway_loses_the_rest(pair: Pair) -> None:
    down = threading.Timer(0.5, ip, ("-n", pair.right, "link", "set", "eth0", "down"))
    down.start()
    (result,) = run_suite(pair.targets()[:1], [56], count=100)
    down.join()
    assert 0 < result.received < 100
    assert (result.sent, result.lost) == (100, 100 - result.received)


def test_missing_route_is_an_error_quoted_from_ping(pair: Pair) -> None:
    (result,) = run_suite([Target("192.0.2.1", pair.left)], [56], count=3)
    assert (result.lost, result.ok) == (3, False)
    assert result.error is not None
    assert "Network is unreachable" in result.error


# --- an echo behind a TUN device, which does to replies what a broken card might --------------------------

Reply = bytearray
"""An IPv4 packet: 20 bytes of IP header, 8 of ICMP, then the payload that ping sent."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total: int = sum(words)
    return ~(total % 0xFFFF) & 0xFFFF


def answer(request: bytes) -> Reply:
    reply = Reply(request)
    reply[12:16], reply[16:20] = request[16:20], request[12:16]
    reply[20] = 0
    return reply


def sign(reply: Reply) -> bytes:
    struct.pack_into("!H", reply, 2, len(reply))
    for at, end in ((10, 20), (22, len(reply))):
        struct.pack_into("!H", reply, at, 0)
        struct.pack_into("!H", reply, at, checksum(bytes(reply[at - 10 if at == 10 else 20 : end])))
    return bytes(reply)


Cheat = Callable[[int, Reply], list[Reply]]
"""From the sequence number and the honest reply to the replies that are sent."""


@pytest.fixture
def echo() -> Iterator[Callable[[Cheat, float], None]]:
    """Start an echo at 10.98.7.2 that passes its replies through a cheat and sends them at an interval in seconds."""
    name = f"vnp{os.getpid() % 100_000}"
    fd = os.open("/dev/net/tun", os.O_RDWR)
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def serve(cheat: Cheat, hold: float) -> None:
        held: list[Reply] = []
        due = time.monotonic() + hold
        while not stop.is_set():
            if select.select([fd], [], [], 0.005)[0]:
                request = os.read(fd, 70_000)
                if request[0] >> 4 == 4 and request[9] == 1 and request[20] == 8:
                    held += cheat(int.from_bytes(request[26:28], "big"), answer(request))
            if time.monotonic() >= due:
                for reply in held:
                    os.write(fd, sign(reply))
                held.clear()
                due = time.monotonic() + hold

    def start(cheat: Cheat, hold: float) -> None:
        threads.append(threading.Thread(target=serve, args=(cheat, hold)))
        threads[0].start()

    try:
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        ip("addr", "add", "10.98.7.1/24", "dev", name)
        ip("link", "set", name, "up", "mtu", "65535")
        yield start
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        os.close(fd)


def ping_echo(size: int = 64, count: int = 10) -> PingResult:
    (result,) = run_suite([ECHO], [size], count=count, timeout=1.0)
    return result


def flip(at: int) -> Cheat:
    def cheat(seq: int, reply: Reply) -> list[Reply]:
        if seq == 2:
            reply[at] ^= 1
        return [reply]

    return cheat


def test_honest_echo_is_ok_at_every_size(echo: Callable[[Cheat, float], None]) -> None:
    echo(lambda _, reply: [reply], 0.0)
    results = run_pings([ECHO], count=5)
    assert all(result.ok for result in results), results


def test_each_missing_reply_is_counted(echo: Callable[[Cheat, float], None]) -> None:
    echo(lambda seq, reply: [] if seq in (2, 10) else [reply], 0.0)
    result = ping_echo()
    assert (result.sent, result.received, result.lost, result.ok) == (10, 8, 2, False)


def test_duplicate_replies_are_counted(echo: Callable[[Cheat, float], None]) -> None:
    echo(lambda seq, reply: [reply] * (1 + (seq in (2, 3))), 0.0)
    result = ping_echo()
    assert (result.lost, result.duplicates, result.ok) == (0, 2, False)


@pytest.mark.parametrize("at", [28 + 16, 28 + 40, 28 + 63])
def test_one_flipped_bit_is_noticed(echo: Callable[[Cheat, float], None], at: int) -> None:
    echo(flip(at), 0.0)
    result = ping_echo()
    assert (result.lost, result.corrupted, result.ok) == (0, 1, False)


def test_contents_left_over_from_another_size_are_noticed(echo: Callable[[Cheat, float], None]) -> None:
    seen: list[Reply] = []

    def stale(seq: int, reply: Reply) -> list[Reply]:
        seen.append(Reply(reply))
        if len(reply) < len(seen[0]):
            reply[44:] = seen[0][44 : len(reply)]  # what the larger packet had at this place
        return [reply]

    echo(stale, 0.0)
    large, small = run_suite([ECHO], [1024, 512], count=3)
    assert large.ok, large
    assert (small.received, small.corrupted) == (3, 3)


def test_shortened_reply_is_noticed(echo: Callable[[Cheat, float], None]) -> None:
    echo(lambda seq, reply: [reply[:-20] if seq == 2 else reply], 0.0)
    result = ping_echo()
    assert (result.lost, result.corrupted, result.ok) == (0, 1, False)


def test_late_last_reply_is_not_lost(echo: Callable[[Cheat, float], None]) -> None:
    late: list[Reply] = []

    def cheat(seq: int, reply: Reply) -> list[Reply]:
        late.append(reply)
        if seq < 10:
            return [late.pop()]
        return [late.pop(0)] if seq == 20 else []  # ping -c 10 would have gone long before

    echo(cheat, 0.0)
    result = ping_echo()
    assert result.ok, result
    assert result.rtt_max is not None
    assert result.rtt_max > 50


def pings() -> list[int]:
    """Process ids of the pings that this process has started."""
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        found += [int(pid) for pid in path.read_text().split() if Path(f"/proc/{pid}/comm").read_text() == "ping\n"]
    return found


class Overflow:
    """An echo that keeps 20 replies back, and returns them at once while ping is stopped."""

    def __init__(self, *, once: bool) -> None:
        self.once = once
        self.overflows = 0
        self.held: list[Reply] = []

    def __call__(self, number: int, reply: Reply) -> list[Reply]:
        if self.once and self.overflows:
            return [reply]
        self.held.append(reply)
        if len(self.held) < 20:
            return []
        self.overflows += 1
        for pid in pings():
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.3, os.kill, (pid, signal.SIGCONT)).start()
        replies, self.held = self.held, []
        return replies


def test_size_whose_replies_ping_had_no_room_for_is_pinged_again(echo: Callable[[Cheat, float], None]) -> None:
    echo(Overflow(once=True), 0.0)
    result = ping_echo(size=65507, count=25)
    assert (result.ok, result.repeats) == (True, 1), result


def test_replies_that_ping_never_has_room_for_are_blamed_on_ping(
    echo: Callable[[Cheat, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "REPEATS", 0)
    echo(Overflow(once=False), 0.0)
    result = ping_echo(size=65507, count=40)
    assert result.lost > 0
    assert result.error is not None
    assert "ping itself dropped" in result.error


def test_no_ping_process_is_left(echo: Callable[[Cheat, float], None]) -> None:
    echo(lambda _, reply: [reply], 0.0)
    assert ping_echo().ok
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "ping"]
