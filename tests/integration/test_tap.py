"""Two agents with TAPs: Ethernet frames of every size and kind, exact accounts, and what a user sees of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ledger import assert_kernel_agrees, assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.programs import VNETCARD, X86, assert_refused, ip, run, started
from tests.harness.restarts import OUTAGE, until
from tests.harness.traffic import (
    V4,
    assert_no_bad_checksums,
    assert_stream_arrives,
    interface_down,
    joined,
    pinging,
    sweep_both_directions,
)
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab, run_in
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

TAP = ("--port", "tap:tap0")
ETH_P_ALL = 3
LAST_SIZE = 2100
EXPERIMENT = b"\x88\xb5"
"""The EtherType of IEEE 802 for experiments."""
VLAN, QINQ = "81000064", "88a8000781000064"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for tool in ("ip", "ping"):
        need(tool)
    with joined(host=TAP, card=TAP) as lab:
        for netns in lab.namespaces:  # Ethernet has duplicate address detection
            shown = ("-n", netns, "address", "show", "tentative")
            until(lambda shown=shown: not ip(*shown), "IPv6", limit=30)  # type: ignore[misc]
        yield lab
        assert_no_bad_checksums(lab)


def kernel_drops(lab: Lab, side: int) -> int:
    return int(lab.status(side)["port"]["kernel"]["counters"]["kernel_tx_dropped"])


@pytest.mark.parametrize("version", [4, 6])
def test_every_payload_size_passes_in_both_directions_unharmed(lab: Lab, version: int) -> None:
    everything = LAST_SIZE + 1
    clean = {"sent": everything, "answered": everything, "overflowed": 0, "lost": [], "spoilt": [], "twice": []}
    before = [kernel_drops(lab, side) for side in (HOST, CARD)]
    assert sweep_both_directions(lab, LAST_SIZE, count=1, version=version) == [clean, clean]
    # The kernel's own MLD reports find no carrier until a moment after the link is up.
    assert_kernel_agrees(lab, allow={"tx_dropped"})
    assert [kernel_drops(lab, side) for side in (HOST, CARD)] == before


@pytest.mark.parametrize(("protocol", "version"), [("tcp", 6), ("udp", 4)])
def test_streams_with_offload_arrive_whole(lab: Lab, protocol: str, version: int) -> None:
    segments = 20 if protocol == "udp" else 1
    for sender in (HOST, CARD):
        assert_stream_arrives(lab, protocol, 8 << 20, version=version, sender=sender, segments=segments)
    assert set(lab.status(HOST)["link"]["features"].values()) == {"on"}
    assert_ledgers_balance(lab)


# --- frames that the kernel does not make ------------------------------------------------------------


@contextlib.contextmanager
def _wire(lab: Lab, side: int) -> Iterator[socket.socket]:
    """All frames at the TAP of ``side``, as they are."""
    with inside(lab.namespaces[side]):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with wire:
        wire.bind(("tap0", ETH_P_ALL))
        wire.settimeout(20)
        yield wire


def _macs(lab: Lab) -> list[bytes]:
    return [bytes.fromhex(lab.status(side)["port"]["mac"].replace(":", "")) for side in (HOST, CARD)]


@pytest.fixture(scope="module")
def plain() -> Iterator[Lab]:
    """Without super-packets, whose size would allow any frame; the kernel sends frames with two tags."""
    with Lab("tap-plain") as lab:
        for side in (HOST, CARD):
            lab.start(side, *TAP, "--offload", "off")
        lab.wait_up()
        for side in (HOST, CARD):
            ip("-n", lab.namespaces[side], "link", "set", "tap0", "mtu", "1600")
        yield lab


@pytest.mark.parametrize(
    ("tags", "size"),
    [("", 60), ("", 1514), (VLAN, 64), (VLAN, 1518), (QINQ, 68), (QINQ, 1522)],
    ids=["untagged-60", "untagged-1514", "vlan-64", "vlan-1518", "qinq-68", "qinq-1522"],
)
def test_frames_with_vlan_tags_arrive_unchanged(plain: Lab, tags: str, size: int) -> None:
    for sender in (HOST, CARD):
        source, destination = _macs(plain)[sender], _macs(plain)[1 - sender]
        body = EXPERIMENT + os.urandom(8) + bytes(n & 0xFF for n in range(size - 22 - len(tags) // 2))
        frame = destination + source + bytes.fromhex(tags) + body
        assert len(frame) == size
        with _wire(plain, sender) as wire, _wire(plain, 1 - sender) as far:
            wire.send(frame)
            # The kernel hands the outer tag to a packet socket beside the frame.
            while (got := far.recv(2000))[-len(body) :] != body:
                pass
            assert got[:12] == frame[:12]
            assert got[12 : -len(body)] in (frame[12 : -len(body)], frame[16 : -len(body)])
    assert_ledgers_balance(plain)


def test_frame_above_the_mtu_and_its_tags_is_counted(plain: Lab) -> None:
    def dropped() -> int:
        return int(plain.status(HOST)["sides"][HOST]["tx"]["drop_too_big"])

    before = dropped()
    with _wire(plain, HOST) as wire:
        wire.send(_macs(plain)[CARD] + _macs(plain)[HOST] + EXPERIMENT + bytes(1523 - 14))
        until(lambda: dropped() == before + 1, "the drop", limit=20)


# --- what a user sees --------------------------------------------------------------------------------


def test_status_shows_the_mac_address_which_is_that_of_the_kernel(lab: Lab) -> None:
    done = run([*VNETCARD, "status", "--window", lab.url])
    for side, said in ((HOST, done.stdout.split("\n\n")[0]), (CARD, done.stdout.split("\n\n")[1])):
        (link,) = json.loads(ip("-n", lab.namespaces[side], "-j", "link", "show", "tap0"))
        assert f"ethernet  MAC {link['address']}" in said
        assert int(link["address"][:2], 16) & 3 == 2, "not locally administered, or multicast"


def test_mac_address_stays_over_restarts(lab: Lab) -> None:
    before = _macs(lab)
    assert before[HOST] != before[CARD]
    lab.stop(CARD)
    lab.start(CARD, "--address", f"{V4[CARD]}/24", "--address", "fd00::5/64", *TAP)
    lab.wait_up()
    assert _macs(lab) == before


def _captured(lab: Lab, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    with pinging(lab):
        assert run([*VNETCARD, "capture", "--window", lab.url, "-w", str(file), "--count", "20", *words]).status == 0
    command = [need("tshark"), "-n", "-r", str(file), "-T", "fields", "-e", "frame.encap_type", "-e", "eth.src"]
    return subprocess.run([*command, "-e", "ip.dst"], capture_output=True, text=True, check=True)


def test_capture_is_read_by_tshark_and_tcpdump_as_ethernet_and_replayed_as_it_is(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "tap.pcapng"
    rows = [row.split("\t") for row in _captured(lab, file, "icmp").stdout.splitlines()]
    assert len(rows) == 20
    macs = {mac.hex(":") for mac in _macs(lab)}
    assert {row[0] for row in rows} == {"1"} and {row[1] for row in rows} == macs
    assert {row[2] for row in rows} == set(V4)
    done = subprocess.run([need("tcpdump"), "-n", "-e", "-r", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("ICMP echo re") == 20, done.stderr
    assert re.search(f"{rows[0][1]} > ", done.stdout)
    before = lab.status(HOST)["sides"][HOST]["tx"]["tx_sent"]
    words = ["replay", str(file), "--window", lab.url, "--interface", "host-port", "--direction", "out", "--fast"]
    replayed = run([*VNETCARD, *words, "--json"])
    assert replayed.status == 0, replayed
    sent = json.loads(replayed.stdout)["packets"]
    assert sent >= 5
    until(lambda: lab.status(HOST)["sides"][HOST]["tx"]["tx_sent"] >= before + sent, "all sent", limit=20)


def test_filters_of_both_kinds_find_their_packets(lab: Lab) -> None:
    with pinging(lab):
        done = run([*VNETCARD, "trace", "--window", lab.url, "--count", "2", "icmp and host 10.10.10.5"])
        assert done.stdout.count("10.10.10.1 > 10.10.10.5: ICMP echo request") >= 1, done
        mac = _macs(lab)[HOST].hex(":")
        done = run([*VNETCARD, "capture", "--window", lab.url, "--count", "2", "ether", "src", mac])
        assert done.status == 0 and done.stdout.count("ICMP echo request") == 2, done
    with started([*VNETCARD, "capture", "--window", lab.url, "--count", "1", "arp"]) as arp:

        def found() -> bool:
            ip("-n", lab.namespaces[HOST], "neigh", "flush", "all")
            ping = run_in(lab.namespaces[HOST], [need("ping"), "-q", "-c", "1", "-W", "1", V4[CARD]])
            subprocess.run(ping, stdout=subprocess.DEVNULL, check=False)
            return arp.poll() is not None

        until(found, "an ARP request", limit=60)
        assert arp.stdout is not None and "ARP request, who has 10.10.10.5, tell 10.10.10.1" in arp.stdout.read()


def test_replay_of_ip_packets_is_refused_in_a_line(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "raw.pcap"
    file.write_bytes(
        bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000") + bytes(8) + b"\x14\0\0\0" * 2
    )
    with file.open("ab") as more:
        more.write(b"\x45" + bytes(19))
    assert_refused(run([*VNETCARD, "replay", str(file), "--window", lab.url]), "vnetcard", "moves Ethernet frames")


def test_dropped_frame_is_described_in_show_errors(lab: Lab) -> None:
    arp = bytes.fromhex("0806 0001 0800 0604 0001 02005e000001 0a0a0a01 000000000000 0a0a0a63")
    with _wire(lab, HOST) as wire:
        frame = b"\xff" * 6 + _macs(lab)[HOST] + arp
        with interface_down(lab, CARD, lambda: wire.send(frame), name="tap0"):
            words = "ARP request, who has 10.10.10.99"
            until(lambda: words in run([*VNETCARD, "show", "errors", "--window", lab.url]).stdout, words, limit=30)
    assert lab.agents[CARD] is not None and lab.agents[CARD].poll() is None, "an interface that is down is not gone"


# --- trouble -----------------------------------------------------------------------------------------


def test_killed_agents_come_back_with_exact_accounts() -> None:
    with Lab("tap-killed") as lab:
        for side in (HOST, CARD):
            lab.start(side, *TAP, "--persist")
        lab.wait_up()
        for victim in (HOST, CARD):
            with pinging(lab):
                lab.stop(victim, signal.SIGKILL)
                lab.start(victim, *TAP, "--persist")
                lab.wait_up()
            assert_ledgers_balance(lab, allow=OUTAGE)


def test_tap_against_tun_is_refused_in_words_on_both_sides() -> None:
    with Lab("tap-tun") as lab:
        lab.start(HOST, *TAP)
        lab.start(CARD)
        for side, words in (
            (HOST, "the peer moves IP packets (tun), this side Ethernet"),
            (CARD, "the peer moves Ether"),
        ):
            link = lab.wait_for(side, "refused")["link"]
            assert link["reason_code"] == LinkReason.FRAMES_MISMATCH.value
            assert words in link["reason"]
        lab.stop(CARD)
        lab.start(CARD, *TAP)
        lab.wait_up()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bridge", "none"), "there is no such bridge where tap7 is; create it: `ip link add none up type bridge`"),
        (("--bridge", "lo"), "--bridge lo: this interface is no bridge"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(lab: Lab, options: tuple[str, ...], words: str) -> None:
    before = ip("-n", lab.namespaces[CARD], "link", "show")
    window = f"shm:vnetcard-bad-{os.getpid()}"
    command = [*X86, "--window", window, "--netns", lab.namespaces[CARD], "--port", "tap:tap7"]
    outcome = run([*command, *options])
    assert_refused(outcome, "vnetcard-x86", words)
    assert ip("-n", lab.namespaces[CARD], "link", "show") == before
