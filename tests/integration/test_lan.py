"""The recipes of docs/lan.md, run as they stand there: a host, its card, and a machine of the LAN as namespaces.

The machine runs dnsmasq (DHCP, router advertisements, TFTP).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import PROGRAMS, ROOT, agent, ip, started
from tests.harness.restarts import until
from tests.harness.ssh_lab import sshd
from vnetcard.lab.lab import make_namespaces, run_in

pytestmark = [pytest.mark.root, pytest.mark.slow]

PAGE = ROOT / "docs" / "lan.md"
HOST, CARD, NODE = "host", "card", "node"
PLACES = {"on the host": HOST, "on the card": CARD, "on each machine": NODE}
NODE_ADDRESS, HOST_ADDRESS = "192.0.2.1", "192.0.2.10"
FILE = b"a kernel " * 10_000
LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] && ip address add "$ip/$mask" dev "$interface"
exit 0
"""
"""What udhcpc runs; the system's own one would change /etc/resolv.conf."""


class Lan:
    """Three namespaces; ``eth1`` of the host and ``eth0`` of the node are the LAN."""

    def __init__(self, folder: Path, made: contextlib.ExitStack) -> None:
        self.folder = folder
        self.made = made
        tag = f"vnetcard-lan-{os.getpid()}"
        self.netns = {place: f"{tag}-{place}" for place in (HOST, CARD, NODE)}
        self.window = f"shm:{tag}"
        make_namespaces(made, list(self.netns.values()))
        ip("link", "add", "eth1", "netns", self.netns[HOST], "type", "veth", "peer", "eth0", "netns", self.netns[NODE])
        self.run(NODE, f"ip address add {NODE_ADDRESS}/24 dev eth0")
        self.run(NODE, "ip address add 2001:db8::1/64 dev eth0 nodad")
        self.run(NODE, "ip link set eth0 up")
        self.script = folder / "lease"
        self.script.write_text(LEASE_SCRIPT)
        self.script.chmod(0o755)

    def run(self, place: str, command: str, *, limit: float = 60) -> str:
        """Run ``command`` there; its output."""
        words = run_in(self.netns[place], shlex.split(command))
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
        assert done.returncode == 0, f"{place}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def follow(self, title: str) -> None:
        """Run all commands of a recipe, each in its place; agents run until the end of the test."""
        for place, command in recipe(title):
            program = command.split()[0]
            if program in PROGRAMS:
                words = [*PROGRAMS[program], *shlex.split(command)[1:], "--window", self.window]
                self.made.enter_context(agent(run_in(self.netns[place], words)))
            elif program == "udhcpc":
                self.await_link()
                self.run(place, f"{command} -f -t 20 -T 1 -s {self.script}")
            else:
                need(program)
                self.run(place, command)
        self.await_link()

    def await_link(self) -> None:
        """Return once the card's interface is up."""
        (name,) = (one["ifname"] for one in self.links(CARD) if one["ifname"].startswith("t"))
        shown = f"ip -o link show {name}"
        until(lambda: " state UP " in self.run(CARD, shown), "the card's link", limit=30)

    def links(self, place: str) -> list[dict[str, Any]]:
        """The interfaces there."""
        return list(json.loads(self.run(place, "ip -j -d address show")))

    def addresses(self, place: str, name: str) -> list[str]:
        """The addresses of an interface, without link-local ones."""
        (found,) = (one for one in self.links(place) if one["ifname"] == name)
        return [one["local"] for one in found["addr_info"] if one["scope"] == "global" and not one.get("tentative")]

    def ping(self, place: str, address: str) -> None:
        """Three pings, all answered; the first one may take as long as ARP."""
        said = self.run(place, f"ping -n -c 3 -i 0.2 -W 20 {address}")
        assert " 0% packet loss" in said, said


def recipe(title: str) -> list[tuple[str, str]]:
    """The commands of a section of the page, each with its place."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    found, place = [], ""
    for line in re.findall(r"^ {4}(.*)$", section, re.MULTILINE):
        if line.startswith("# "):
            place = next(name for words, name in PLACES.items() if line[2:].startswith(words))
        else:
            found.append((place, line))
    assert found
    return found


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    need("ping")
    with contextlib.ExitStack() as made:
        yield Lan(tmp_path, made)


def _host_on_the_lan(lan: Lan) -> None:
    lan.run(HOST, f"ip address add {HOST_ADDRESS}/24 dev eth1")
    lan.run(HOST, "ip link set eth1 up")


def _serve(lan: Lan) -> None:
    """DHCP, router advertisements and TFTP on the node."""
    (lan.folder / "tftp").mkdir()
    (lan.folder / "tftp" / "kernel").write_bytes(FILE)
    lan.folder.chmod(0o755)
    words = f"{need('dnsmasq')} --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --user=root "
    words += (
        f"--dhcp-range=192.0.2.100,192.0.2.200,1h --dhcp-leasefile={lan.folder}/leases --enable-ra --log-facility=- "
    )
    words += f"--dhcp-range=2001:db8::,ra-only,64 --ra-param=eth0,4 --enable-tftp --tftp-root={lan.folder}/tftp "
    words += f"--tftp-no-blocksize --pid-file={lan.folder}/pid --dhcp-authoritative --no-ping"
    process = lan.made.enter_context(started(run_in(lan.netns[NODE], shlex.split(words)), stderr=subprocess.DEVNULL))
    until(lambda: (lan.folder / "pid").exists() and process.poll() is None, "dnsmasq", limit=30)


def test_card_on_a_bridge_is_a_machine_of_the_lan(lan: Lan, tmp_path: Path) -> None:
    _serve(lan)
    lan.run(HOST, "ip link set eth1 up")
    before = [link["address"] for link in lan.links(HOST) if link["ifname"] == "eth1"]
    lan.follow("By a bridge")
    (lease,) = [one for one in lan.addresses(CARD, "tap0") if one.startswith("192.0.2.")]
    lan.ping(NODE, lease)
    lan.ping(CARD, NODE_ADDRESS)

    until(lambda: any(one.startswith("2001:db8:") for one in lan.addresses(CARD, "tap0")), "a router", limit=60)
    (six,) = [one for one in lan.addresses(CARD, "tap0") if one.startswith("2001:db8:")]
    lan.ping(NODE, six)

    lan.run(CARD, f"{need('curl')} -s -S -o {tmp_path}/loaded tftp://{NODE_ADDRESS}/kernel")
    assert (tmp_path / "loaded").read_bytes() == FILE

    keys = tmp_path / "keys"
    keys.mkdir()
    fake: Any = SimpleNamespace(namespaces=("", lan.netns[CARD]))
    with sshd(fake, keys, {"LAN": "1"}) as command:
        words = [*command[:-1], f"root@{lease}", "ip", "-br", "address", "show", "tap0"]
        done = subprocess.run(run_in(lan.netns[NODE], words), capture_output=True, text=True, timeout=60, check=False)
    assert lease in done.stdout, done

    links = {link["ifname"]: link for link in lan.links(HOST)}
    assert links["tap0"]["master"] == "br0" and not lan.addresses(HOST, "tap0")
    assert [links["br0"]["address"]] == before, "the tap has changed the bridge's address"


def test_card_on_a_macvtap_is_a_machine_of_the_lan(lan: Lan) -> None:
    _serve(lan)
    _host_on_the_lan(lan)
    lan.follow("By macvtap")
    (lease,) = [one for one in lan.addresses(CARD, "tap0") if one.startswith("192.0.2.")]
    lan.ping(NODE, lease)
    lan.ping(CARD, NODE_ADDRESS)
    lan.ping(HOST, NODE_ADDRESS)
    assert [one["ifname"] for one in lan.links(HOST) if one.get("linkinfo", {}).get("info_kind") == "macvtap"]


def test_card_behind_an_ethernet_port_is_a_machine_of_the_lan(lan: Lan) -> None:
    """The host has no address there; the node is the card's gateway."""
    lan.follow("By an Ethernet port")
    lan.ping(NODE, "192.0.2.50")
    lan.ping(CARD, NODE_ADDRESS)
    lan.run(NODE, "ip address add 198.51.100.1/32 dev lo")
    lan.ping(CARD, "198.51.100.1")
    assert not lan.addresses(HOST, "eth1")


@pytest.mark.parametrize("title", ["By routing", "By NAT", "By proxy ARP"])
def test_card_and_a_machine_of_the_lan_reach_one_another(lan: Lan, title: str) -> None:
    _host_on_the_lan(lan)
    lan.follow(title)
    lan.ping(CARD, NODE_ADDRESS)
    if title != "By NAT":
        lan.ping(NODE, "192.0.2.50" if title == "By proxy ARP" else "10.10.10.5")


# --- the bridge stays as it was ----------------------------------------------------------------------


def test_agent_leaves_the_bridge_as_it_was_also_with_a_persistent_tap(lan: Lan) -> None:
    lan.run(HOST, "ip link add br0 up type bridge")
    lan.run(HOST, "ip link set eth1 up master br0")

    def state() -> list[Any]:
        return [(one["ifname"], one["address"], one["mtu"], one.get("master")) for one in lan.links(HOST)]

    before = state()
    words = [*PROGRAMS["vnetcard-x86"], "--window", lan.window, "--netns", lan.netns[HOST]]
    words += ["--port", "tap", "--bridge", "br0"]
    for more in ([], ["--persist"]):
        with agent([*words, *more]):
            assert ("tap0", "br0") in [(name, master) for name, _, _, master in state()]
            assert [one for one in state() if one[0] != "tap0"] == before
        assert [one for one in state() if one[0] != "tap0"] == before
        assert ("tap0", "br0") not in [(name, master) for name, _, _, master in state()]


def test_mtu_that_would_change_the_bridge_is_refused_in_a_line(lan: Lan) -> None:
    lan.run(HOST, "ip link add br0 up mtu 1500 type bridge")
    lan.run(HOST, "ip link set eth1 up master br0")
    words = [*PROGRAMS["vnetcard-x86"], "--window", lan.window, "--netns", lan.netns[HOST]]
    words += ["--port", "tap", "--bridge", "br0", "--mtu", "1400"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    assert "--bridge br0: its MTU of 1500 would become 1400, that of its smallest port" in done.stderr
    assert {one["mtu"] for one in lan.links(HOST) if one["ifname"] != "lo"} == {1500}
