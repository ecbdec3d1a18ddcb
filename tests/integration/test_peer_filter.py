"""Packets of the peer that an agent drops before the kernel sees them: redirects, and sources outside --allow."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, run
from tests.harness.restarts import until
from tests.harness.traffic import pinging
from vnetcard.agent.control import ask
from vnetcard.agent.status import text
from vnetcard.cli.main import main
from vnetcard.lab.lab import Lab, run_in
from vnetcard.observe import views
from vnetcard.observe.tables import as_json
from vnetcard.port import netns as ns
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

BEYOND = "10.99.0.1"
"""An address that the host reaches through the card."""
ALLOWED = ("10.10.10.5/32", "fd00:7::/64")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host on a machine where IPv4 redirects count, and a card with addresses that the host does not allow."""
    with Lab("filter") as lab:
        words = ["net.ipv4.conf.all.accept_redirects=1", "net.ipv4.conf.default.accept_redirects=1"]
        assert run(run_in(lab.namespaces[HOST], ["sysctl", "-qw", *words])).status == 0
        allow = [word for network in ALLOWED for word in ("--allow", network)]
        addresses = ["--address", "10.10.10.1/24", "--address", "fd00:7::1/64"]
        lab.start(HOST, *allow, *addresses, "--route", "10.99.0.0/16 via 10.10.10.5")
        lab.start(
            CARD, "--address", "10.10.10.5/24", "--address", "10.10.10.6/24",
            "--address", "fd00:7::5/64", "--address", "fd00:8::5/64",
        )  # fmt: skip
        lab.wait_up()
        yield lab


def dropped(lab: Lab, name: str, side: int = HOST) -> int:
    return int(ask(lab.url, HOST, "status")["sides"][side]["rx"][name])


def send(lab: Lab, body: bytes) -> None:
    """One IPv4 packet with ICMP from the card to the host."""
    with ns.inside(lab.namespaces[CARD]):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with sock:
        sock.bind(("10.10.10.5", 0))
        sock.sendto(body, ("10.10.10.1", 0))


def icmp(kind: int, code: int, rest: bytes, about: bytes) -> bytes:
    data = struct.pack("!BBH", kind, code, 0) + rest + about
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return data[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + data[4:]


def redirect() -> bytes:
    """What the card's kernel sends to name another gateway for BEYOND."""
    ends = ipaddress.IPv4Address("10.10.10.1").packed + ipaddress.IPv4Address(BEYOND).packed
    about = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 1, 0) + ends + bytes(8)
    return icmp(5, 1, ipaddress.IPv4Address("10.10.10.7").packed, about)


def gateway(lab: Lab) -> str:
    return run(["ip", "-n", lab.namespaces[HOST], "route", "get", BEYOND]).stdout.split(" dev ")[0]


def test_redirect_does_not_count_although_the_machine_accepts_them(lab: Lab) -> None:
    before = dropped(lab, "drop_redirect")
    send(lab, redirect())
    until(lambda: dropped(lab, "drop_redirect") == before + 1, "the redirect is dropped")
    assert gateway(lab) == f"{BEYOND} via 10.10.10.5"
    errors = as_json(views.gather(lab.url), "errors")["errors"]
    assert "peer-configures" in [cause["code"] for cause in errors["causes"]]


def ping(lab: Lab, source: str, target: str) -> int:
    return run(
        run_in(lab.namespaces[CARD], ["ping", "-q", "-c", "2", "-i", "0.1", "-W", "1", "-I", source, target])
    ).status


def test_source_outside_the_allowed_networks_does_not_arrive(lab: Lab) -> None:
    assert ping(lab, "10.10.10.5", "10.10.10.1") == ping(lab, "fd00:7::5", "fd00:7::1") == 0
    for source, target in (("10.10.10.6", "10.10.10.1"), ("fd00:8::5", "fd00:7::1")):
        before = dropped(lab, "drop_source")
        assert ping(lab, source, target) == 1
        assert dropped(lab, "drop_source") >= before + 2
    assert dropped(lab, "drop_source", CARD) == 0, "the card allows all"
    assert_ledgers_balance(lab, allow={"drop_source", "drop_redirect"})


def test_allowed_networks_and_drops_are_shown(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*words: str) -> str:
        main([*words, "--window", lab.url])
        return capsys.readouterr().out

    ping(lab, "10.10.10.6", "10.10.10.1")
    status = shown("status")
    assert f"  allow     sources {' '.join(ALLOWED)}\n" in status and "drop_source" in status
    assert status.count("  allow ") == 1 and "  trust " not in status
    (view, _) = views.gather(lab.url).views
    assert (view["port"]["allow"], view["port"]["peer_trusted"]) == (list(ALLOWED), False)
    errors = shown("show", "errors")
    assert "foreign-sources" in errors and "10.10.10.6 > 10.10.10.1" in errors
    counts = [
        line for line in shown("metrics", "--once").splitlines() if line.startswith("vnetcard_drop_source_total{")
    ]
    assert any(not line.endswith(" 0.0") for line in counts)
    with pinging(lab, "-I", "10.10.10.6", side=CARD):
        traced = run([*VNETCARD, "trace", "--window", lab.url, "src host 10.10.10.6", "--count", "1"]).stdout
    assert "DROPPED: drop_source" in traced


def test_trusted_peer_may_redirect(lab: Lab) -> None:
    """The control of the first test: without the agent's filter the kernel does what the redirect says."""
    lab.stop(HOST)
    lab.start(HOST, "--trust-peer", "--route", "10.99.0.0/16 via 10.10.10.5")
    lab.wait_up()
    before = dropped(lab, "drop_redirect")
    until(lambda: send(lab, redirect()) or gateway(lab) != f"{BEYOND} via 10.10.10.5", "the redirect counts")  # type: ignore[func-returns-value]
    assert gateway(lab) == f"{BEYOND} via 10.10.10.7" and dropped(lab, "drop_redirect") == before
    assert "  trust     the peer may configure this machine" in text(ask(lab.url, HOST, "status"))
