"""What only a TUN has: a namespace, a carrier, persistence and several queues; and names that no port can have."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import ip
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import Port, open_port
from vnetcard.port.netns import inside
from vnetcard.ring import layout as L


def link(netns: str, name: str) -> dict[str, Any]:
    """What ``ip link`` says about an interface; {} when it is not there."""
    shown = subprocess.run(
        [need("ip"), "-n", netns, "-j", "link", "show", name], capture_output=True, text=True, check=False
    )
    return dict(json.loads(shown.stdout)[0]) if shown.returncode == 0 else {}


@pytest.mark.root
def test_tun_is_created_in_the_named_namespace_and_the_thread_stays(netns: str) -> None:
    own = Path("/proc/thread-self/ns/net")
    home = own.readlink()
    for name in (netns, f"/run/netns/{netns}"):
        with contextlib.closing(open_port("tun:tun7", netns=name)):
            assert link(netns, "tun7")
            assert not Path("/sys/class/net/tun7").exists()
            assert own.readlink() == home
            assert str(Path("/run/netns", netns).stat().st_ino) not in str(home), "this thread stayed in that namespace"
        assert not link(netns, "tun7")


@pytest.mark.root
def test_tun_has_no_carrier_before_it_is_set(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns)) as port:
        ip("-n", netns, "link", "set", "tun0", "up")
        assert "NO-CARRIER" in link(netns, "tun0")["flags"]
        port.set_carrier(True)
        assert "LOWER_UP" in link(netns, "tun0")["flags"]
        port.set_carrier(False)
        assert "NO-CARRIER" in link(netns, "tun0")["flags"]


@pytest.mark.root
def test_persistent_tun_stays_and_is_taken_over(netns: str) -> None:
    open_port("tun:tun0", netns=netns, persist=True).close()
    first = link(netns, "tun0")
    assert first
    with contextlib.closing(open_port("tun:tun0", netns=netns)):
        assert link(netns, "tun0")["ifindex"] == first["ifindex"]
    assert link(netns, "tun0")["ifindex"] == first["ifindex"], "a persistent TUN went with its second owner"


@pytest.mark.root
def test_tun_of_several_queues_is_one_interface_that_goes_with_them(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=3)) as port:
        assert len(port.fds) == 3 and link(netns, "tun0")
        for fd in port.fds:
            assert not os.get_blocking(fd) and not os.get_inheritable(fd)
        for count in (1, 3, 2, 2, 15, 1):
            port.use_queues(count)
    assert not link(netns, "tun0")


@pytest.mark.root
def test_only_queues_in_use_have_packets_and_a_flow_follows_the_queue_of_its_answers(
    netns: str,
) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=4)) as port, inside(netns):
        ip("-n", netns, "address", "add", "192.0.2.1/24", "dev", "tun0")
        ip("-n", netns, "link", "set", "tun0", "up")
        port.set_carrier(True)
        for used in (4, 2, 1, 3):
            port.use_queues(used)
            for queue in range(used):
                with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as flow:
                    flow.bind(("192.0.2.1", 0))
                    _drain(port)
                    os.write(port.fds[queue], bytes(L.VNET_HDR) + _question(flow.getsockname()[1]))
                    assert _queues_of(port, flow) == {queue}


def _question(port: int) -> bytes:
    """A UDP packet from 192.0.2.2, port 7, to port ``port`` of 192.0.2.1, without a UDP checksum."""
    head = bytes.fromhex("45000024 00000000 4011 0000 c0000202 c0000201")
    total = sum(int.from_bytes(head[n : n + 2], "big") for n in range(0, 20, 2))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    udp = (7).to_bytes(2, "big") + port.to_bytes(2, "big") + (16).to_bytes(2, "big") + bytes(2)
    return head[:10] + checksum.to_bytes(2, "big") + head[12:] + udp + b"question"


def _drain(port: Port) -> set[int]:
    """Read all packets to 192.0.2.2 from ``port``; returns the queues that had some."""
    used = set()
    for queue, fd in enumerate(port.fds):
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(fd, 2000):
                if packet[L.VNET_HDR + 16 :][:4] == bytes((192, 0, 2, 2)):
                    used.add(queue)
    return used


def _queues_of(port: Port, flow: socket.socket) -> set[int]:
    """The queue of the packets that ``flow`` sends; the kernel sends none before it has noticed the carrier."""
    deadline = time.monotonic() + 20
    while not (used := _drain(port)):
        assert time.monotonic() < deadline, "no packet arrives"
        flow.sendto(b"answer", ("192.0.2.2", 7))
        time.sleep(0.001)
    return used


@pytest.mark.root
def test_held_tun_of_several_queues_refuses_another_process(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns, queues=2)):
        for queues in (1, 2):
            with pytest.raises(PortUnavailable, match="another process holds; choose another --name"):
                open_port("tun:tun0", netns=netns, queues=queues)


@pytest.mark.root
def test_persistent_tun_is_taken_over_with_as_many_queues_as_it_can_have(netns: str) -> None:
    open_port("tun:several", netns=netns, persist=True, queues=2).close()
    for queues in (2, 1, 4):
        with contextlib.closing(open_port("tun:several", netns=netns, queues=queues)) as port:
            assert len(port.fds) == queues
    open_port("tun:single", netns=netns, persist=True).close()
    with pytest.raises(PortUnavailable, match="a TUN with a single queue") as caught:
        open_port("tun:single", netns=netns, queues=2)
    assert caught.value.code is ErrorCode.PORT_BUSY


def test_pair_has_one_queue() -> None:
    with pytest.raises(ConfigError, match="one queue, not 2"):
        open_port("pair:test", queues=2)


@pytest.mark.root
def test_tun_that_is_held_is_refused_and_stays(netns: str) -> None:
    with contextlib.closing(open_port("tun:tun0", netns=netns)):
        with pytest.raises(PortUnavailable, match="another process holds; choose another --name"):
            open_port("tun:tun0", netns=netns)
        assert link(netns, "tun0")


@pytest.mark.root
def test_missing_namespace_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"'vnc-no-such'.*ip netns add vnc-no-such"):
        open_port("tun:tun0", netns="vnc-no-such")


@pytest.mark.root
def test_namespace_that_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PortUnavailable, match="cannot enter it"):
        open_port("tun:tun0", netns=str(tmp_path / "file"))


@pytest.mark.parametrize("url", ["", "tun", "tun:", "taper:x", ":x", "TUN:x"])
def test_invalid_port_url_is_a_configuration_error_that_names_the_kinds(url: str) -> None:
    with pytest.raises(ConfigError, match="fd, macvtap, memif, packet, pair, tap, tun, unix, vhost-user") as caught:
        open_port(url)
    assert caught.value.code is ErrorCode.BAD_URL


@pytest.mark.root
@pytest.mark.parametrize("name", ["sixteen-bytes-xx", "a b", "a/b", "a:b", "tun%d", ".", "..", "a\tb", "a\0b"])
def test_name_that_the_kernel_refuses_is_a_configuration_error(netns: str, name: str) -> None:
    with pytest.raises(ConfigError, match="invalid interface name"):
        open_port(f"tun:{name}", netns=netns)
