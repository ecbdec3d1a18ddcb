"""Packets that a kernel discards beside the link: every one is found, and the cause and its remedy are named."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.harness.ledger import wait_for_rest
from tests.harness.needs import need
from tests.harness.programs import VNETCARD, ip, run, stop
from tests.harness.traffic import V4, V6, joined, snmp
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.lab.lab import Lab, run_in
from vnetcard.observe import views
from vnetcard.observe.causes import causes
from vnetcard.observe.tables import as_json
from vnetcard.observe.views import Snapshot
from vnetcard.port.netns import inside
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

LIMIT_S = 60.0
COUNT = 40
"""Datagrams of a wrong route."""
PORT = 5305
BESIDE = {cause for code in DiscardCode for cause in code.causes}
"""The causes of what kernels discard; a busy machine may have others."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two computers; behind the card is a network 10.99.0.0/24 whose only machine answers to nothing."""
    # Wrong routes show only where the agent does not set the strict reverse path filter itself.
    with joined(host=("--queues", "2"), card=("--trust-peer",)) as lab:
        assert lab.status(L.CARD)["link"]["queues"] == 2
        host, card = lab.namespaces
        ip("-n", card, "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        for name in ("lan0", "lan1"):
            ip("-n", card, "link", "set", name, "up")
        for address in ("10.99.0.1/24", "fd99::1/64"):
            ip("-n", card, "address", "add", address, "dev", "lan0", *["nodad"] * (":" in address))
        for family in ("ipv4", "ipv6"):  # fail at once
            sysctl(
                lab, L.CARD, f"net.{family}.neigh.lan0.retrans_time_ms=20", f"net.{family}.neigh.lan0.mcast_solicit=1"
            )
        ip("-n", card, "route", "add", "10.98.0.0/16", "dev", "lan0")
        for address in ("10.98.0.1/32", "10.97.0.1/32", "fd97::1/128"):
            ip("-n", host, "address", "add", address, "dev", "lo", *["nodad"] * (":" in address))
        for network in ("10.99.0.0/24", "203.0.113.0/24", "fd99::/64", "2001:db8::/32"):
            ip("-n", host, *["-6"] * (":" in network), "route", "add", network, "dev", "tun0")
        yield lab


def sysctl(lab: Lab, side: int, *words: str) -> None:
    done = run(run_in(lab.namespaces[side], ["sysctl", "-q", "-w", *words]))
    assert done.status == 0, done.stderr


def udp(lab: Lab, side: int, version: int = 4, source: str = "") -> socket.socket:
    """A UDP socket in the namespace of ``side``."""
    with inside(lab.namespaces[side]):
        sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    return sock


def send(lab: Lab, destination: str, *, source: str = "", count: int = COUNT) -> None:
    """Datagrams from the host, one after the other, slowly enough for the interface's queue."""
    with udp(lab, L.HOST, 6 if ":" in destination else 4, source) as sock:
        for _ in range(count):
            sock.sendto(b"v" * 64, (destination, PORT))


def ping(lab: Lab, destination: str, *, source: str) -> None:
    """COUNT pings from the host, none of which is answered."""
    command = [need("ping"), "-n", "-q", "-c", str(COUNT), "-i", "0.002", "-W", "0.1", "-I", source, destination]
    assert run(run_in(lab.namespaces[L.HOST], command)).status == 1


def the_cause(snapshot: Snapshot, code: CauseCode) -> str:
    """The words of the cause ``code`` on the card's side, and that no other one is found."""
    found = [cause for cause in causes(snapshot) if cause.code in BESIDE]
    assert [(cause.code, cause.side) for cause in found] == [(code, "card")]
    return found[0].words


def discarded(snapshot: Snapshot, side: str) -> dict[str, int]:
    """The kernel's counters of packets since the last `clear`."""
    return {row.code.value: row.count for row in snapshot.discards() if row.side == side and row.code.is_packet}


def has_discarded(expected: dict[str, int], snapshot: Snapshot) -> bool:
    """Whether the card's discards are those."""
    return discarded(snapshot, "card") == expected


def shows_discard(code: str, snapshot: Snapshot) -> bool:
    return code in [row.code for row in snapshot.discards()]


def wait_until(lab: Lab, right: Callable[[Snapshot], bool]) -> Snapshot:
    """The first snapshot that is ``right``."""
    deadline = time.monotonic() + LIMIT_S
    while not right(snapshot := views.gather(lab.url)):
        if time.monotonic() > deadline:
            shown = json.dumps(as_json(snapshot, "errors"), indent=1)
            raise AssertionError(f"{shown}\n{json.dumps([view['port'] for view in snapshot.views], indent=1)}")
        time.sleep(0.05)
    return snapshot


# --- floods -------------------------------------------------------------------------------------------


def link_losses(snapshot: Snapshot) -> int:
    return sum(row.count for row in snapshot.errors() if row.name.startswith(("drop_", "lost_")))


@pytest.mark.parametrize("version", [4, 6])
def test_every_datagram_of_a_flood_is_found(lab: Lab, version: int) -> None:
    address, six = (V4, V6)[version == 6][L.CARD], "6" if version == 6 else ""
    full = f"kernel_udp{six}_rcvbuf_errors"
    views.clear(lab.url, "errors")
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(udp(lab, L.CARD, version, address))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sink.settimeout(0.2)
        sources = [stack.enter_context(udp(lab, L.HOST, version)) for _ in range(8)]  # for both queues
        for source in sources:
            source.connect(sink.getsockname()[:2])
        stop(lab.agent(L.HOST))  # until the interface's queues are full
        try:
            for n in range(4000):
                sources[n % 8].send(b"v" * 200)
        finally:
            lab.agent(L.HOST).send_signal(signal.SIGCONT)
        for n in range(500):
            sources[n % 8].send(b"v" * 200)
        wait_for_rest(lab)
        delivered = 0
        with contextlib.suppress(TimeoutError):
            while sink.recv(1024):
                delivered += 1
        snapshot = views.gather(lab.url)
        port = sink.getsockname()[1]
    host, card = discarded(snapshot, "host"), discarded(snapshot, "card")
    assert host["kernel_tx_dropped"] >= 1000
    assert card[full] > 0
    assert delivered + host["kernel_tx_dropped"] + card[full] + link_losses(snapshot) == 4500
    found = {cause.code: cause for cause in causes(snapshot)}
    assert found[CauseCode.INTERFACE_QUEUE_FULL].side == "host"
    assert found[CauseCode.APPLICATION_TOO_SLOW].side == "card"
    assert f":{port} dropped {card[full]}" in found[CauseCode.APPLICATION_TOO_SLOW].words


def test_cause_is_found_in_a_flood_that_fills_the_rings_many_times(lab: Lab) -> None:
    views.clear(lab.url, "errors")
    with udp(lab, L.HOST) as source:
        for _ in range(8000):
            source.sendto(b"v" * 1400, ("10.10.10.9", PORT))
    wait_for_rest(lab)
    snapshot = views.gather(lab.url)
    host, card = discarded(snapshot, "host"), discarded(snapshot, "card")
    assert host.get("kernel_tx_dropped", 0) + card["kernel_ip_in_addr_errors"] + link_losses(snapshot) == 8000
    found = {cause.code: cause.words for cause in causes(snapshot)}
    assert "10.10.10.1 > 10.10.10.9" in found[CauseCode.FOREIGN_ADDRESS]


# --- wrong routes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrong:
    """COUNT packets to each destination: the card's counters of them, the cause, and the command that it names.

    ``source``: the host's address, of the version of each destination.  ``sysctls``: settings of the card, with the
    values of before.
    """

    cause: CauseCode
    destinations: dict[str, tuple[str, ...]]
    command: str
    sources: tuple[str, str] = ("", "")
    sysctls: tuple[tuple[str, int, int], ...] = ()
    pings: bool = False


FORWARD = (("net.ipv4.ip_forward", 1, 0), ("net.ipv6.conf.all.forwarding", 1, 0))
FILTER = (("net.ipv4.conf.all.rp_filter", 1, 0),)
WRONG = {
    "no interface has it": Wrong(
        CauseCode.FOREIGN_ADDRESS,
        {"10.10.10.9": ("kernel_ip_in_addr_errors",), "fd00::9": ("kernel_ip6_in_addr_errors",)},
        "address add {destination} dev tun0`",
    ),
    "no route to it": Wrong(
        CauseCode.FOREIGN_ADDRESS,
        {"203.0.113.9": ("kernel_ip_in_no_routes",), "2001:db8::9": ("kernel_ip6_in_no_routes",)},
        "route add {destination} via GATEWAY`",
        sysctls=FORWARD,
    ),
    "no route to it, and no forwarding": Wrong(
        CauseCode.FOREIGN_ADDRESS,
        {"203.0.113.9": ("kernel_ip_in_addr_errors",), "2001:db8::9": ("kernel_ip6_in_no_routes",)},
        "route add {destination} via GATEWAY`",
    ),
    "behind a card that does not forward": Wrong(
        CauseCode.NOT_FORWARDING,
        {"10.99.0.77": ("kernel_ip_in_addr_errors",), "fd99::77": ("kernel_ip6_in_addr_errors",)},
        "sysctl -w net.ipv",
    ),
    "source expected elsewhere": Wrong(
        CauseCode.REVERSE_PATH_FILTER,
        {"10.10.10.5": ("kernel_ip_reverse_path_filter",)},
        "route add {source} dev tun0`",
        sources=("10.98.0.1", ""),
        sysctls=FILTER,
    ),
    "source expected nowhere": Wrong(
        CauseCode.NO_ROUTE_BACK,
        {"10.10.10.5": ("kernel_ip_reverse_path_filter",)},
        "route add {source} dev tun0`",
        sources=("10.97.0.1", ""),
        sysctls=FILTER,
    ),
    "answers without a route": Wrong(
        CauseCode.NO_ROUTE_BACK,
        {
            "10.10.10.5": ("kernel_icmp_unanswered",),
            "fd00::5": ("kernel_ip6_out_no_routes", "kernel_icmp6_unanswered"),
        },
        "route add {source} dev tun0`",
        sources=("10.97.0.1", "fd97::1"),
        pings=True,
    ),
}


@contextlib.contextmanager
def settings(lab: Lab, wanted: tuple[tuple[str, int, int], ...]) -> Iterator[None]:
    """Settings of the card during the block."""
    for name, value, _ in wanted:
        sysctl(lab, L.CARD, f"{name}={value}")
    try:
        yield
    finally:
        for name, _, value in wanted:
            sysctl(lab, L.CARD, f"{name}={value}")


@pytest.mark.parametrize("name", WRONG)
def test_every_packet_with_a_wrong_route_is_found(lab: Lab, name: str) -> None:
    wrong = WRONG[name]
    with settings(lab, wrong.sysctls):
        for destination, counters in wrong.destinations.items():
            source = wrong.sources[":" in destination]
            views.clear(lab.url, "errors")
            (ping if wrong.pings else send)(lab, destination, source=source)
            snapshot = wait_until(lab, partial(has_discarded, dict.fromkeys(counters, COUNT)))
            assert discarded(snapshot, "host") == {}
            assert [row.name for row in snapshot.errors()] == []
            cause = the_cause(snapshot, wrong.cause)
            bits = "/128" if ":" in destination else "/32"
            assert destination in cause
            assert wrong.command.format(destination=destination + bits, source=source + bits) in cause


def test_machine_behind_the_card_that_does_not_answer_is_named(lab: Lab) -> None:
    for version, destination, name in ((4, "10.99.0.78", "icmp"), (6, "fd99::78", "icmp6")):
        with settings(lab, FORWARD):
            forwarded = "Ip.ForwDatagrams" if version == 4 else "Ip6OutForwDatagrams"
            before = snmp(lab, L.CARD)[forwarded]
            views.clear(lab.url, "errors")
            send(lab, destination)
            words = f"kernel_{name}_unreachable"
            snapshot = wait_until(lab, partial(shows_discard, words))
            assert snmp(lab, L.CARD)[forwarded] - before == COUNT
            assert f"{destination} does not answer" in the_cause(snapshot, CauseCode.NEIGHBOUR_FAILED)


# --- what is not ours ----------------------------------------------------------------------------------


def test_discards_of_other_interfaces_are_shown_as_the_namespaces_and_name_no_cause(lab: Lab) -> None:
    views.clear(lab.url, "errors")
    with inside(lab.namespaces[L.CARD]):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sink, source:
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sink.bind(("10.99.0.1", PORT))
        for _ in range(100):
            source.sendto(b"v" * 1000, ("10.99.0.1", PORT))
        snapshot = wait_until(lab, lambda one: bool(discarded(one, "card")))
        assert set(discarded(snapshot, "card")) == {"kernel_udp_rcvbuf_errors"}
        assert [cause.code for cause in causes(snapshot) if cause.code in BESIDE] == []


# --- where it is shown ---------------------------------------------------------------------------------


def test_status_show_report_and_metrics_name_the_same_counts(lab: Lab) -> None:
    views.clear(lab.url, "errors")
    before = lab.status(L.CARD)["port"]["kernel"]["counters"]["kernel_ip_in_addr_errors"]
    send(lab, "10.10.10.9")
    wait_until(lab, lambda one: discarded(one, "card") == {"kernel_ip_in_addr_errors": COUNT})
    kernel = lab.status(L.CARD)["port"]["kernel"]
    assert kernel["counters"]["kernel_ip_in_addr_errors"] == before + COUNT
    text = run([*VNETCARD, "status", "--window", lab.url]).stdout
    assert f"its namespace, all interfaces together: kernel_ip_in_addr_errors {before + COUNT}" in text
    errors = json.loads(run([*VNETCARD, "show", "errors", "--json", "--window", lab.url]).stdout)["errors"]
    assert errors["errors"] == []
    (row,) = errors["kernel"]
    assert (row["side"], row["name"], row["count"], row["interface"]) == ("card", "kernel_ip_in_addr_errors", COUNT, "")
    lines = run([*VNETCARD, "show", "errors", "--window", lab.url]).stdout
    assert "lost inside the link: 0" in lines
    assert "kernel_ip_in_addr_errors" in lines
    metrics = run([*VNETCARD, "metrics", "--once", "--window", lab.url]).stdout
    (sample,) = [
        line
        for line in metrics.splitlines()
        if line.startswith("vnetcard_kernel_ip_in_addr_errors_total{") and 'side="card"' in line
    ]
    assert float(sample.split()[-1]) == before + COUNT
    assert 'scope="namespace"' in sample
