"""What an agent that root has started may still do once it runs, and that it does its work with that."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, ip, run
from tests.harness.restarts import until
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root
CAP_NET_ADMIN = 1 << 12


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The host's agent with least privilege, the card's as it was started."""
    with Lab("holds") as lab:
        lab.start(HOST, "--privileges", "least", "--address", "10.10.10.1/24", "--address", "fd00::1/64")
        lab.start(CARD, "--privileges", "keep")
        lab.wait_up()
        yield lab


def threads(pid: int) -> list[dict[str, str]]:
    """/proc/PID/task/TID/status of each thread."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [{name: rest.strip() for name, _, rest in (line.partition(":") for line in t.splitlines())} for t in texts]


def held(lab: Lab, side: int) -> dict[str, Any]:
    return dict(lab.status(side)["privileges"])


def answers(lab: Lab) -> bool:
    command = run_in(lab.namespaces[HOST], [need("ping"), "-n", "-q", "-c", "2", "-i", "0.05", "-W", "2", "10.10.10.5"])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_every_thread_of_roots_agent_keeps_cap_net_admin_at_most(lab: Lab) -> None:
    found = threads(lab.agent(HOST).pid)
    assert len(found) >= 4  # with the pumps
    for thread in found:
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
            assert int(thread[name], 16) & ~CAP_NET_ADMIN == 0, (thread["Name"], name)
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2"), thread["Name"]


def test_status_shows_what_the_agents_hold(lab: Lab) -> None:
    view = held(lab, HOST)
    assert (view["user"], view["uid"], view["capabilities"]) == ("root", 0, ["CAP_NET_ADMIN"])
    assert (view["no_new_privs"], view["seccomp"]) == (True, True)
    kept = held(lab, CARD)
    assert len(kept["capabilities"]) > 30 and kept["no_new_privs"] is False
    lines = run([*VNETCARD, "status", "--window", lab.window]).stdout.splitlines()
    shown = [line for line in lines if line.startswith("  holds ")]
    assert len(shown) == 2
    assert "user root, CAP_NET_ADMIN; no_new_privs, seccomp" in shown[0]
    assert "all capabilities; without restrictions" in shown[1]


def test_with_cap_net_admin_alone_the_interface_is_still_configured(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    ip("-n", netns, "link", "set", "tun0", "mtu", "1000")  # the kernel takes IPv6 away
    until(lambda: "fd00::1" not in ip("-n", netns, "address", "show", "tun0"), "the kernel has taken it")
    ip("-n", netns, "link", "set", "tun0", "mtu", "1500")
    until(lambda: "fd00::1" in ip("-n", netns, "address", "show", "tun0"), "the address is set again")
    switch = run_in(netns, ["cat", "/proc/sys/net/ipv6/conf/tun0/accept_ra"])
    until(lambda: run(switch).stdout == "0\n", "the peer is not trusted again")
    lab.stop(CARD)
    lab.start(CARD, "--mtu", "1300", "--privileges", "keep")
    until(lambda: "mtu 1300" in ip("-n", netns, "link", "show", "tun0"), "the agreed MTU")
    until(lambda: answers(lab), "packets")


def test_interface_that_moves_is_not_followed_without_the_permission_and_packets_go_on(
    lab: Lab, netns_pair: tuple[str, str]
) -> None:
    new = netns_pair[0]
    ip("-n", lab.namespaces[HOST], "link", "set", "tun0", "netns", new)
    ip("-n", new, "address", "add", "10.10.10.1/24", "dev", "tun0")
    ip("-n", new, "link", "set", "tun0", "up")
    command = run_in(new, [need("ping"), "-n", "-q", "-c", "2", "-i", "0.05", "-W", "2", "10.10.10.5"])
    until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, "packets after the move")
    assert [problem["code"] for problem in lab.status(HOST)["port"]["problems"]] == ["port-gone"]
