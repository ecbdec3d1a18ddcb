"""A guest of QEMU behind vhost-user: the host's TAP pings it, streams cross, and each program may be killed."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, until
from tests.harness.ring_links import RingLab, ping, ring_lab
from tests.harness.traffic import pinging
from vnetcard.agent.control import ask
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import ADDRESSES
from vnetcard.ring.layout import CARD, HOST
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import Guest

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]

PORTS = Path(__file__).resolve().parents[2] / "docs/ports.md"
DOCUMENTED_PATH, DOCUMENTED_SIZE = "/run/vnetcard-vm", "size=512M"
SIZES = [56, 57, 63, 64, 65, 576, 1024, 1471, 1472, 1473, 2048, 8972, 65507]
EARLY = frozenset({"drop_link_down", "drop_port_down"})
WITHOUT_KVM = ",vectors=0"
"""For the device: where QEMU 7.2 has no KVM it ends with SIGSEGV once a vhost-user device has message interrupts."""
DRIVER = ("failover", "net_failover", "virtio_net")


def documented(path: str, machine_options: tuple[str, ...]) -> list[str]:
    """The options of QEMU in docs/ports.md that are about the card, for the socket ``path``."""
    text = PORTS.read_text()
    block = text[text.index("    qemu-system-x86_64 -m 512 -object memory-backend-memfd") :].partition("\n\n")[0]
    words = shlex.split(block.replace("\\\n", " "))
    memory = f"size={machine_options[machine_options.index('-m') + 1]}M"
    assert DOCUMENTED_PATH in block and DOCUMENTED_SIZE in block
    found = []
    for option, value in pairwise(words):
        if option in ("-object", "-machine", "-chardev", "-netdev", "-device"):
            found += [option, value.replace(DOCUMENTED_PATH, path).replace(DOCUMENTED_SIZE, memory)]
    assert len(found) == 10
    found[-1] += WITHOUT_KVM
    return found


class Setup:
    """A link with a TAP on the host's side and a guest behind the card's, and what starts the guest."""

    def __init__(self, lab: RingLab, image: Image, path: str) -> None:
        self.lab, self._image = lab, image
        self._options = documented(path, image.machine.options)

    @contextlib.contextmanager
    def guest(self) -> Iterator[Guest]:
        with Guest(self._image, None, options=self._options) as guest:
            for name in DRIVER:
                loaded = guest.run("insmod", f"/lib/modules/{name}.ko")
                assert loaded.status == 0, (name, loaded)
            self.configure(guest)
            yield guest

    def configure(self, guest: Guest) -> None:
        done = guest.run("sh", "-c", f"ip addr add {ADDRESSES[CARD]}/24 dev eth0 && ip link set eth0 up")
        assert done.status == 0, done

    def counted(self) -> dict[str, int]:
        """Frames that the agent has put into the guest's queue, and has taken out of the other one."""
        view = self.lab.lab.status(CARD)["sides"][CARD]
        return {"rx_packets": view["rx"]["rx_delivered"], "tx_packets": view["tx"]["tx_taken"]}

    def taken(self) -> int:
        return self.counted()["tx_packets"]

    def await_answers(self) -> None:
        self.lab.await_carrier()
        wanted = self.taken() + 10
        until(lambda: self.taken() >= wanted, "the guest answers")


def counted_by(guest: Guest) -> dict[str, int]:
    """Likewise, by the guest; a frame may have crossed between its two numbers."""
    return {
        name: int(guest.run("cat", f"/sys/class/net/eth0/statistics/{name}").stdout)
        for name in ("rx_packets", "tx_packets")
    }


@pytest.fixture
def setup(host_image: Image, tmp_path: Path) -> Iterator[Setup]:
    with (
        tempfile.TemporaryDirectory(prefix="vnc-") as place,
        (tmp_path / "log").open("w+") as log,
        ring_lab("vhost-guest", CARD, f"vhost-user:{place}/port", log) as lab,
    ):
        lab.start_tap()
        lab.start_ring_port()
        yield Setup(lab, host_image, f"{place}/port")


def test_host_pings_a_guest_and_the_guest_the_host(setup: Setup) -> None:
    with setup.guest() as guest:
        setup.lab.await_carrier()
        rings = ask(setup.lab.lab.url, CARD, "show")["port"]["details"]["rings"]
        assert rings["features"] == ["mrg_rxbuf", "indirect_desc", "event_idx", "version_1"]
        results = ping(setup.lab.lab, SIZES)
        assert [result.size for result in results if result.ok] == SIZES, results
        done = guest.run("ping", "-c", "30", "-i", "0.1", "-s", "1000", ADDRESSES[HOST])
        assert {str(n) for n in range(1, 21)} <= set(re.findall(r"icmp_seq=(\d+) .*time=", done.stdout)), done
        until(lambda: counted_by(guest) == setup.counted(), "the guest counts as the agent does")
        assert_ledgers_balance(setup.lab.lab, allow=EARLY)


def test_driver_guest_and_agent_may_go_and_come_back(setup: Setup) -> None:
    """A driver that is bound again begins at 0; QEMU goes on with the agent that replaces one that was killed."""
    driver = "/sys/bus/virtio/drivers/virtio_net"
    with contextlib.ExitStack() as running:
        guest = running.enter_context(setup.guest())
        with pinging(setup.lab.lab, "-s", "1000"):
            setup.await_answers()
            name = guest.run("sh", "-c", f"cd {driver} && echo virtio*").stdout.strip()
            assert guest.run("sh", "-c", f"echo {name} > {driver}/unbind").status == 0
            setup.lab.await_reason(LinkReason.PEER_PORT_DOWN)
            assert guest.run("sh", "-c", f"echo {name} > {driver}/bind").status == 0
            setup.configure(guest)
            setup.await_answers()
            setup.lab.stop_ring_port(signal.SIGKILL)
            setup.lab.start_ring_port()
            setup.await_answers()
            guest.kill()
            setup.lab.await_reason(LinkReason.PEER_PORT_DOWN)
            running.enter_context(setup.guest())
            setup.await_answers()
        assert_ledgers_balance(setup.lab.lab, allow=OUTAGE | EARLY)
