"""``vnetcard replay``: captures into a link, by an agent's interface or as the end itself; seen at the other end."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.open_taps import has_open_tap
from tests.harness.programs import VNETCARD, Outcome, ip, run, started
from tests.harness.restarts import until
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST
from vnetcard.tap import pcap_reader
from vnetcard.tap.pcap_reader import Packet

pytestmark = pytest.mark.root

SAMPLE = Path(__file__).parents[1] / "hdl/data/ping-and-tcp.pcap"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("replay") as lab:
        lab.start(HOST, "--offload", "off")
        lab.start(CARD, "--offload", "off")
        lab.wait_up()
        yield lab


def udp(number: int, size: int = 40) -> bytes:
    """A packet that gets no answer."""
    head = bytes.fromhex("4500") + size.to_bytes(2, "big") + number.to_bytes(2, "big")
    return head + bytes.fromhex("00004011000001010101c0000202") + bytes(size - 20)


def spaced(count: int, gap_ms: float) -> list[Packet]:
    return [Packet(1_700_000_000 * 10**9 + int(n * gap_ms * 1e6), udp(n)) for n in range(count)]


def replay(lab: Lab, *options: object) -> Outcome:
    return run([*VNETCARD, "replay", "--window", lab.url, *map(str, options)])


def arrivals(lab: Lab, file: Path, *options: object, count: int) -> tuple[Outcome, list[tuple[float, bytes]]]:
    """Replay, and what the card's pump took out of its FIFO meanwhile, with times in seconds."""
    seen = file.with_suffix(".seen")
    watch = [*VNETCARD, "capture", "--window", lab.url, "--side", "card", "--tap", "fifo-out", "-w", str(seen)]
    with started(
        [*watch, "--count", str(count), "src host 1.1.1.1 or src host 198.51.100.1 or dst host 192.0.2.1"]
    ) as process:
        deadline = time.monotonic() + 20
        while not seen.exists() or not seen.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        done = replay(lab, file, *options)
        process.wait(20)
    return done, [(packet.time / 1e9, packet.data) for packet in pcap_reader.read(seen).packets]


def test_every_packet_arrives_unchanged_and_in_order(lab: Lab, tmp_path: Path) -> None:
    sent = spaced(100, 0.1)
    pcap_reader.write(tmp_path / "in.pcap", sent)
    done, seen = arrivals(lab, tmp_path / "in.pcap", "--fast", "--json", count=100)
    assert (done.status, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["packets"], result["refused"], result["into"]) == (100, 0, "tun0 of the host's agent")
    assert [data for _, data in seen] == [packet.data for packet in sent]


@pytest.mark.parametrize(("speed", "meant"), [(1, 0.4), (4, 0.1), (0.5, 0.8)])
def test_pauses_are_those_of_the_capture_scaled(lab: Lab, tmp_path: Path, speed: float, meant: float) -> None:
    pcap_reader.write(tmp_path / "in.pcap", spaced(5, 100))
    done, seen = arrivals(lab, tmp_path / "in.pcap", "--speed", speed, "--json", count=5)
    assert json.loads(done.stdout)["seconds_meant"] == pytest.approx(meant)
    took = seen[-1][0] - seen[0][0]
    assert meant * 0.7 <= took <= meant + 0.5


def test_pcapng_of_tshark_is_replayed_too(lab: Lab, tmp_path: Path) -> None:
    pcap_reader.write(tmp_path / "in.pcap", spaced(10, 1))
    subprocess.run([need("editcap"), "-F", "pcapng", tmp_path / "in.pcap", tmp_path / "in.pcapng"], check=True)
    done, seen = arrivals(lab, tmp_path / "in.pcapng", count=10)
    assert done.status == 0
    assert len(seen) == 10
    assert "in.pcapng: 10 packets, 400 bytes into tun0 of the host's agent" in done.stdout


def test_capture_of_ours_is_replayed(lab: Lab, tmp_path: Path) -> None:
    pcap_reader.write(tmp_path / "in.pcap", spaced(10, 1))
    watch = [
        *VNETCARD,
        "capture",
        "--window",
        lab.url,
        "-w",
        str(tmp_path / "own.pcapng"),
        "--count",
        "20",
        "udp and src 1.1.1.1",
    ]
    with started(watch) as process:
        until(lambda: all(has_open_tap(lab.agent(side).pid) for side in (HOST, CARD)), "taps at both agents")
        assert replay(lab, tmp_path / "in.pcap").status == 0
        process.wait(20)
    refused = replay(lab, tmp_path / "own.pcapng")
    assert refused.status == 2
    assert "several interfaces: choose one of host-port, card-port" in refused.stderr
    done = replay(lab, tmp_path / "own.pcapng", "--interface", "host-port", "--direction", "out", "--json")
    assert json.loads(done.stdout)["packets"] == 10


def test_packet_that_does_not_fit_is_refused_and_counted(lab: Lab, tmp_path: Path) -> None:
    pcap_reader.write(tmp_path / "in.pcap", [Packet(0, udp(1)), Packet(0, udp(2, 4000)), Packet(0, b"\0" * 30)])
    done = replay(lab, tmp_path / "in.pcap")
    assert done.status == 1
    assert "2 REFUSED" in done.stdout


def test_side_without_an_agent_is_taken_for_the_while(tmp_path: Path) -> None:
    with Lab("replayend") as lab:
        lab.start(CARD)
        pcap_reader.write(tmp_path / "in.pcap", spaced(4, 600))  # longer than a heartbeat may fail
        done = replay(lab, tmp_path / "in.pcap", "--json")
        assert (done.status, done.stderr) == (0, "")
        assert json.loads(done.stdout)["into"] == f"the host's end of {lab.url}"
        status = lab.wait_for(CARD, "waiting")
        (card,) = [side for side in status["sides"] if side["side"] == "card"]
        assert card["rx"]["rx_received"] >= 4 and card["rx"]["unaccounted"] == 0
        assert status["balance"][0]["even"]


def test_what_cannot_be_replayed_is_one_line(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    pcap_reader.write(tmp_path / "in.pcap", spaced(1, 1))
    for options, words in (
        ((tmp_path / "text",), "is not a capture file"),
        ((tmp_path / "absent",), "cannot be read (No such file"),
        ((tmp_path / "in.pcap", "--interface", "eth7"), "has no packet of interface 'eth7'"),
        ((tmp_path / "in.pcap", "--direction", "in"), "holds no IP packet"),
        ((tmp_path / "in.pcap", "--speed", "0"), "more than 0"),
    ):
        done = replay(lab, *options)
        assert (done.status, done.stdout) == (2, ""), words
        assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_peer_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pcap_reader.write(tmp_path / "in.pcap", spaced(1, 1))
    with Lab("replaydown") as lab:
        lab.start(HOST)
        done = replay(lab, tmp_path / "in.pcap")
        assert done.status == 2
        assert "the host's link is down (no peer yet): it would drop every packet" in done.stderr


QUIET_TUN0 = """
default=/proc/sys/net/ipv6/conf/default/disable_ipv6
[ ! -e $default ] || echo 1 >$default
ip link add tun0 type veth peer name tun0p
ip link set tun0 up
ip link set tun0p up
[ ! -e $default ] || echo 0 >$default
"""
"""Another interface that is called tun0, which sends nothing by itself."""


@pytest.mark.parametrize("move", [False, True], ids=["renamed", "moved"])
def test_replay_follows_its_interface_and_writes_into_no_other(
    lab: Lab, tmp_path: Path, netns_pair: tuple[str, str], move: bool
) -> None:
    """In the middle another interface gets the name; it does not send a single packet."""
    home, other = lab.namespaces[HOST], netns_pair[0]
    pcap_reader.write(tmp_path / "in.pcap", spaced(2000, 1))
    try:
        with started([*VNETCARD, "replay", "--window", lab.url, "--json", str(tmp_path / "in.pcap")]) as replaying:
            before = taken(lab)
            until(lambda: taken(lab) > before + 20, "the replay is under way")
            ip("-n", home, "link", "set", "tun0", *(("netns", other) if move else ("name", "pcie0")))
            done = run(run_in(home, ["sh", "-ec", QUIET_TUN0]))
            assert done.status == 0, done
            middle = taken(lab)
            until(lambda: taken(lab) > middle + 20, "the replay goes on")
            out, err = replaying.communicate(timeout=60)
        assert (replaying.returncode, err) == (0, "")
        assert json.loads(out)["refused"] == 0
        (link,) = json.loads(ip("-n", home, "-s", "-j", "link", "show", "tun0"))
        assert link["stats64"]["tx"]["packets"] == 0, "another interface has sent packets of the replay"
    finally:
        run(["ip", "-n", home, "link", "del", "tun0p"])
        where, name = (other, "tun0") if move else (home, "pcie0")
        ip("-n", where, "link", "set", name, *(("netns", home) if move else ("name", "tun0")))
        lab.wait_up()


def taken(lab: Lab) -> int:
    """How many packets the host's pump has taken from its interface."""
    count: int = lab.status(HOST)["sides"][HOST]["tx"]["tx_taken"]
    return count
