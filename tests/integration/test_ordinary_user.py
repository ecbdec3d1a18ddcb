"""An agent of an ordinary user: without capabilities on a TUN that root created, or with those of its service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import (
    FPGA,
    OPEN_TUN,
    VNETCARD,
    X86,
    agent,
    as_nobody,
    assert_refused,
    home_of_nobody,
    ip,
    run,
)
from tests.harness.restarts import until
from vnetcard.agent.units import units
from vnetcard.lab.lab import run_in

pytestmark = pytest.mark.root
CAP_NET_ADMIN = 1 << 12


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of_nobody() as path:
        yield path


@pytest.fixture
def shm() -> Iterator[str]:
    name = f"vnc-user-{os.getpid()}"
    yield name
    assert not Path("/dev/shm", name).exists()


def env(home: Path) -> dict[str, str]:
    return {"VNETCARD_RUN_DIR": str(home / "run"), "HOME": str(home)}


def prepare(netns: str, *addresses: str, mtu: int = 1500, kind: tuple[str, ...] = ("vnet_hdr",)) -> None:
    """Create, as root, the TUN for the agent of user nobody."""
    ip("-n", netns, "tuntap", "add", "tun0", "mode", "tun", *kind, "user", "nobody")
    for address in addresses:
        ip("-n", netns, "address", "add", address, "dev", "tun0")
    ip("-n", netns, "link", "set", "tun0", "up", "mtu", str(mtu))


def is_open(netns: str) -> bool:
    return " state UP " in ip("-n", netns, "-o", "link", "show", "tun0")


def wait_open(*namespaces: str) -> None:
    """Wait for the carrier: a ready agent has an interface, which gets its carrier after the handshake."""
    for netns in namespaces:
        until(partial(is_open, netns), f"{netns} open")


def nobodys(netns: str, program: list[str], shm: str, *options: str, keep: str = "") -> list[str]:
    return run_in(netns, as_nobody([*program, "--window", f"shm:{shm}", *options], OPEN_TUN, keep=keep))


def capabilities(pid: int) -> dict[str, int]:
    """CapEff, CapBnd and the like of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Cap"))
    return {name.rstrip(":"): int(mask, 16) for name, mask in lines}


def test_users_agents_run_on_interfaces_that_root_has_prepared(
    netns_pair: tuple[str, str], home: Path, shm: str
) -> None:
    host, card = netns_pair
    prepare(host, "10.10.10.1/24", "fd00:9::1/64")
    prepare(card, "10.10.10.5/24")
    ip("-n", host, "route", "add", "10.77.0.0/16", "via", "10.10.10.5")
    options = ["--address", "10.10.10.1/24", "--address", "fd00:9::1/64", "--route", "10.77.0.0/16 via 10.10.10.5"]
    with (
        agent(nobodys(host, X86, shm, *options), env=env(home)) as x86,
        agent(nobodys(card, FPGA, shm), env=env(home)),
    ):
        assert capabilities(x86.pid)["CapEff"] == 0
        wait_open(host, card)
        shown = run(run_in(host, [need("ping"), "-n", "-c", "50", "-i", "0.01", "-w", "20", "10.10.10.5"]))
        assert "50 received" in shown.stdout, shown
        view = run(as_nobody([*VNETCARD, "status", "--window", f"shm:{shm}", "--json"]), env=env(home))
        assert view.status == 0, view
        assert [one["link"]["features"]["CSUM"] for one in json.loads(view.stdout)["agents"]] == ["on", "on"]
    assert "tun0" in ip("-n", host, "link", "show", "tun0"), "the interface that root made is gone"
    assert list(home.iterdir()) == []


def test_users_agents_run_over_several_queues_where_root_has_prepared_for_them(
    netns_pair: tuple[str, str], home: Path, shm: str
) -> None:
    for netns, address in zip(netns_pair, ("10.10.10.1/24", "10.10.10.5/24"), strict=True):
        prepare(netns, address, kind=("vnet_hdr", "multi_queue"))
    host, card = netns_pair
    with (
        agent(nobodys(host, X86, shm, "--queues", "3"), env=env(home)),
        agent(nobodys(card, FPGA, shm, "--queues", "2"), env=env(home)),
    ):
        wait_open(host, card)
        shown = run(run_in(host, [need("ping"), "-n", "-c", "50", "-i", "0.01", "-w", "20", "10.10.10.5"]))
        assert "50 received" in shown.stdout, shown
        view = run(as_nobody([*VNETCARD, "status", "--window", f"shm:{shm}", "--json"]), env=env(home))
        assert [one["link"]["queues"] for one in json.loads(view.stdout)["agents"]] == [2, 2]


@pytest.mark.parametrize(
    ("prepared", "options", "words"),
    [
        ([], [], ("cannot set address 10.10.10.1/24", "`ip address add 10.10.10.1/24 dev tun0`")),
        (["10.10.10.1/16"], [], ("cannot set address 10.10.10.1/24", "only root may")),
        (["10.10.10.1/24"], ["--mtu", "1400"], ("cannot bring it up", "`ip link set tun0 up mtu 1400`")),
        (["10.10.10.1/24"], ["--queues", "2"], ("taken by", "a TUN with a single queue", "another --name")),
        (["10.10.10.1/24"], ["--route", "10.7.0.0/16"], ("route 10.7.0.0/16", "`ip route add 10.7.0.0/16 dev tun0`")),
    ],
    ids=["no address", "other prefix", "smaller MTU", "one queue", "no route"],
)
def test_refused_user_gets_the_command_for_root(
    netns_pair: tuple[str, str], home: Path, prepared: list[str], options: list[str], words: tuple[str, ...]
) -> None:
    prepare(netns_pair[0], *prepared)
    outcome = run(nobodys(netns_pair[0], X86, f"vnc-user-{os.getpid()}", *options), env=env(home))
    assert_refused(outcome, "vnetcard-x86", *words)
    assert not Path(f"/dev/shm/vnc-user-{os.getpid()}").exists()
    assert list(home.iterdir()) == []


def test_tun_of_another_user_is_refused(netns_pair: tuple[str, str], home: Path, shm: str) -> None:
    ip("-n", netns_pair[0], "tuntap", "add", "tun0", "mode", "tun", "vnet_hdr", "user", "1")
    outcome = run(nobodys(netns_pair[0], X86, shm), env=env(home))
    assert_refused(
        outcome, "vnetcard-x86", "no permission for /dev/net/tun", "ip tuntap add tun0 mode tun vnet_hdr user"
    )


def test_agents_with_the_one_capability_of_their_service_make_their_interfaces_themselves(
    netns_pair: tuple[str, str], home: Path, shm: str
) -> None:
    host, card = netns_pair
    for unit in units("x86", Path("/"), Path("/bin")) + units("fpga", Path("/"), Path("/bin")):
        if unit.path.suffix == ".service":
            assert "\nCapabilityBoundingSet=CAP_NET_ADMIN\nAmbientCapabilities=CAP_NET_ADMIN\n" in unit.contents
    with (
        agent(nobodys(host, X86, shm, keep="net_admin"), env=env(home)) as x86,
        agent(nobodys(card, FPGA, shm, keep="net_admin"), env=env(home)),
    ):
        assert set(capabilities(x86.pid).values()) == {CAP_NET_ADMIN}
        wait_open(host, card)
        shown = run(run_in(host, [need("ping"), "-n", "-c", "50", "-i", "0.01", "-w", "20", "10.10.10.5"]))
        assert "50 received" in shown.stdout, shown
    assert "tun0" not in ip("-n", host, "link", "show")
    assert list(home.iterdir()) == []
