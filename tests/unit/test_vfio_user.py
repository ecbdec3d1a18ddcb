"""The vfio-user server: messages, the function's regions and interrupts, and clients that are wrong or hostile."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import select
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.restarts import until
from tests.harness.vfio_user_client import Client, Failed, sealed_memory
from vnetcard.errors import ConfigError
from vnetcard.sim.vfio_user import pci_config
from vnetcard.sim.vfio_user import protocol as P
from vnetcard.sim.vfio_user.device import CONFIG_REGION, Device
from vnetcard.sim.vfio_user.server import Server

COMMAND_AT, EXPRESS_CONTROL = 4, 0x58
FLR = 1 << 15
Y = P.Command


class FakeEngine:
    """Registers that are memory, and maps that are a list."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.maps: list[tuple[int, int, bool]] = []
        self.master = self.removed = False
        self.resets = 0

    def read32(self, offset: int) -> int:
        return self.words.get(offset, 0x1000 + offset)

    def write32(self, offset: int, value: int) -> None:
        self.words[offset] = value

    def map_dma(self, request: P.DmaMap, fd: int | None) -> None:
        if any(request.address < end and start < request.address + request.size for start, end, _ in self.maps):
            raise P.Refused(errno.EEXIST, "a map over a map")
        self.maps.append((request.address, request.address + request.size, fd is not None))

    def unmap_dma(self, address: int, size: int) -> None:
        self.maps = [found for found in self.maps if not address <= found[0] < address + size]

    def unmap_all(self) -> None:
        self.maps.clear()

    def set_master(self, on: bool) -> None:
        self.master = on

    def reset_function(self) -> None:
        self.resets += 1
        self.words.clear()


class Served:
    """A server with a fake engine."""

    def __init__(self, path: Path) -> None:
        self.path, self.engine, self.log = path, FakeEngine(), list[str]()
        self.device = Device(self.engine)
        self.interrupt = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.server = Server(path, self.device, self.interrupt, log=self.log.append)

    def close(self) -> None:
        self.server.close()
        os.close(self.interrupt)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    found = Served(tmp_path / "card.sock")
    yield found
    found.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "descriptors were left open"


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.path) as found:
        yield found


# --- the codec ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        P.Version(0, 1, {"max_msg_fds": 8}),
        P.DmaMap(3, 1 << 40, 1 << 63, 1 << 12),
        P.DmaUnmap(0, 1 << 32, 1 << 20),
        P.DeviceInfo(3, 9, 5),
        P.RegionInfo(7, 3, 4096),
        P.IrqInfo(2, 1, 1),
        P.IrqSet(P.DATA_NONE, P.ACTION_TRIGGER, 2, 0, 1),
        P.IrqSet(P.DATA_BOOL, P.ACTION_MASK, 2, 0, 3, b"\1\0\1"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_survive_the_round_trip(message: P.DmaMap) -> None:
    assert type(message).parse(message.pack()) == message


def test_region_access_survives_the_round_trip() -> None:
    read, write = P.RegionAccess(8, 0, 4), P.RegionAccess(8, 0, 4, b"abcd")
    assert P.RegionAccess.parse(read.pack(), data=False) == read
    assert P.RegionAccess.parse(write.pack(), data=True) == write


def test_layout_is_that_of_the_specification() -> None:
    """Offsets of the tables in QEMU's docs/interop/vfio-user.rst, spelled out once."""
    header = P.Header(0x1234, 8, 100)
    assert header.reply(b"xy") == struct.pack("=HHIII", 0x1234, 8, 18, 1, 0) + b"xy"
    assert header.refusal(errno.EEXIST) == struct.pack("=HHIII", 0x1234, 8, 16, 0x21, errno.EEXIST)
    assert P.DmaMap(2, 3, 4, 5).pack() == struct.pack("=IIQQQ", 32, 2, 3, 4, 5)
    assert P.DmaUnmap(0, 4, 5).pack() == struct.pack("=IIQQ", 24, 0, 4, 5)
    assert P.RegionInfo(7, 3, 9).pack() == struct.pack("=IIIIQQ", 32, 3, 7, 0, 9, 0)
    assert P.IrqSet(4, 32, 2, 0, 1).pack() == struct.pack("=IIIII", 20, 36, 2, 0, 1)
    assert P.RegionAccess(9, 7, 2, b"zz").pack() == struct.pack("=QII", 9, 7, 2) + b"zz"


# --- the function -----------------------------------------------------------------------------------


def test_client_agrees_on_a_version_and_finds_a_pci_function(client: Client) -> None:
    assert (client.version.major, client.version.minor) == (0, 1)
    info = P.DeviceInfo.parse(client.call(Y.DEVICE_GET_INFO, P.DeviceInfo().pack()))
    assert info == P.DeviceInfo(P.DEVICE_RESET | P.DEVICE_PCI, 9, 5)
    sizes = [
        P.RegionInfo.parse(client.call(Y.DEVICE_GET_REGION_INFO, P.RegionInfo(index).pack())).size for index in range(9)
    ]
    assert sizes == [4096, 0, 4096, 0, 0, 0, 0, 4096, 0]
    counts = [P.IrqInfo.parse(client.call(Y.DEVICE_GET_IRQ_INFO, P.IrqInfo(kind).pack())).count for kind in range(5)]
    assert counts == [0, 0, 1, 0, 0]


def test_configuration_is_that_of_an_endpoint_with_msi_x_and_function_reset(client: Client) -> None:
    assert (client.config(0, 2), client.config(2, 2)) == (0x10EE, 0x9038)
    found, at = {}, client.config(0x34, 1)
    while at:
        found[client.config(at, 1)] = at
        at = client.config(at + 1, 1)
    assert set(found) == {0x01, 0x10, 0x11}, "power management, PCI Express, MSI-X"
    assert client.config(found[0x10] + 4, 4) >> 28 & 1, "function level reset"
    assert client.config(found[0x11] + 2, 2) & 0x7FF == 0, "one vector"
    assert client.config(found[0x11] + 4, 4) == 2, "its table is at the start of BAR 2"
    for bar in (0, 2):  # sized as PCI software sizes it
        client.write(CONFIG_REGION, 0x10 + 4 * bar, b"\xff" * 4)
        assert client.config(0x10 + 4 * bar, 4) == 0xFFFFF000
    client.write(CONFIG_REGION, 0, b"\0\0\0\0")
    assert client.config(0, 2) == 0x10EE, "the ids are read-only"


def test_bar_0_is_the_register_page(client: Client, served: Served) -> None:
    client.write32(0x40, 0xDEADBEEF)
    assert served.engine.words == {0x40: 0xDEADBEEF}
    assert client.read32(0x40) == 0xDEADBEEF
    assert client.read(0, 0x42, 2) == b"\xad\xde"
    client.write(0, 0x40, b"\1\2")
    assert client.read32(0x40) == 0xDEADBEEF, "the page takes whole words only"
    client.write(0, 0x48, struct.pack("=II", 1, 2))
    assert (client.read32(0x48), client.read32(0x4C)) == (1, 2)


def test_posted_write_has_no_reply_and_comes_before_the_next_request(client: Client, served: Served) -> None:
    for value in range(50):
        client.request(Y.REGION_WRITE, P.RegionAccess(0x40, 0, 4, struct.pack("=I", value)).pack(), flags=P.NO_REPLY)
        assert client.read32(0x40) == value


def interrupts(eventfd: int) -> int:
    """The interrupts since the last call, once there is one; 0 after a second without."""
    if not select.select([eventfd], [], [], 1.0)[0]:
        return 0
    return os.eventfd_read(eventfd)


def test_interrupt_reaches_the_clients_eventfd_while_the_function_is_master(client: Client, served: Served) -> None:
    eventfd = client.listen()
    try:
        os.eventfd_write(served.interrupt, 1)
        client.read32(0)  # served after the interrupt, which the server found first
        assert interrupts(eventfd) == 0, "a function that is no bus master cannot write a message"
        client.master()
        os.eventfd_write(served.interrupt, 1)
        assert interrupts(eventfd) == 1
    finally:
        os.close(eventfd)


def mask(client: Client, action: int) -> None:
    client.call(Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_NONE, action, 2, 0, 1).pack())


def test_masked_interrupt_is_pending_and_comes_with_the_unmask(client: Client, served: Served) -> None:
    eventfd = client.listen()
    try:
        client.master()
        mask(client, P.ACTION_MASK)
        os.eventfd_write(served.interrupt, 1)
        until(lambda: client.read(2, pci_config.MSIX_PBA, 1) == b"\1", "the interrupt is pending", limit=20.0)
        assert not select.select([eventfd], [], [], 0)[0]
        mask(client, P.ACTION_UNMASK)
        assert interrupts(eventfd) == 1
        assert client.read(2, pci_config.MSIX_PBA, 1) == b"\0"
        client.call(Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_NONE, P.ACTION_TRIGGER, 2, 0, 0).pack())
        os.eventfd_write(served.interrupt, 1)
        client.read32(0)
        assert not select.select([eventfd], [], [], 0.05)[0], "switched off"
    finally:
        os.close(eventfd)


def test_maps_are_whole_pages_and_do_not_overlap(client: Client, served: Served) -> None:
    client.map(1 << 32, 8192)
    with pytest.raises(Failed) as failed:
        client.map((1 << 32) + 4096, 4096)
    assert failed.value.number == errno.EEXIST
    for address, size, offset in ((100, 4096, 0), (0, 100, 0), (0, 4096, 1), (0, 0, 0), ((1 << 64) - 4096, 8192, 0)):
        with pytest.raises(Failed) as failed:
            client.map(address, size, offset=offset)
        assert failed.value.number == errno.EINVAL
    client.call(Y.DMA_MAP, P.DmaMap(1, 0, 0, 4096).pack())
    assert served.engine.maps == [(1 << 32, (1 << 32) + 8192, True), (0, 4096, False)]
    client.unmap(1 << 32, 8192)
    assert served.engine.maps == [(0, 4096, False)]


@pytest.mark.parametrize("how", ["configuration", "message"])
def test_function_reset_clears_configuration_and_registers(client: Client, served: Served, how: str) -> None:
    client.master()
    client.write32(0x40, 5)
    assert served.engine.master
    if how == "message":
        client.call(Y.DEVICE_RESET)
    else:
        client.write(CONFIG_REGION, EXPRESS_CONTROL, FLR.to_bytes(2, "little"))
    assert (served.engine.resets, served.device.resets, served.engine.master) == (1, 1, False)
    assert client.config(COMMAND_AT, 2) == client.config(EXPRESS_CONTROL, 2) == 0
    assert client.read32(0x40) == 0x1040


def test_removed_card_reads_as_all_ones_everywhere(client: Client, served: Served) -> None:
    served.server.call(lambda: setattr(served.engine, "removed", True))
    assert (client.read32(0), client.config(0, 4)) == (0xFFFF_FFFF, 0xFFFF_FFFF)
    client.write32(0x40, 1)
    assert served.engine.words == {}


def test_client_that_ends_takes_its_memory_and_interrupts_back(served: Served) -> None:
    for _ in range(2):  # the server serves the next one
        with Client(served.path) as client:
            client.map(0, 4096)
            client.master()
            os.close(client.listen())
        with Client(served.path) as client:  # accepted once the first one's end was noticed
            assert (served.engine.maps, served.engine.master) == ([], False)
    assert served.server.clients == 4


# --- wrong and hostile clients ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "payload", "number"),
    [
        (6, bytes(16), errno.ENOTSUP),
        (11, bytes(16), errno.ENOTSUP),
        (999, b"", errno.ENOTSUP),
        (Y.VERSION, struct.pack("=HH", 0, 1), errno.EINVAL),
        (Y.DEVICE_GET_INFO, b"", errno.EINVAL),
        (Y.DEVICE_GET_INFO, bytes(16), errno.EINVAL),  # argsz 0
        (Y.DEVICE_GET_INFO, bytes(40), errno.EINVAL),
        (Y.DEVICE_GET_REGION_INFO, P.RegionInfo(9).pack(), errno.EINVAL),
        (Y.DEVICE_GET_IRQ_INFO, P.IrqInfo(5).pack(), errno.EINVAL),
        (Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_NONE, P.ACTION_TRIGGER, 2, 1, 1).pack(), errno.EINVAL),
        (Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_NONE, P.ACTION_TRIGGER, 2, 0, 1 << 31).pack(), errno.EINVAL),
        (Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_NONE, P.ACTION_TRIGGER, 1, 0, 1).pack(), errno.EINVAL),
        (Y.DEVICE_SET_IRQS, P.IrqSet(3, P.ACTION_TRIGGER, 2, 0, 1).pack(), errno.EINVAL),
        (Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_BOOL, P.ACTION_TRIGGER, 2, 0, 1).pack(), errno.EINVAL),
        (Y.REGION_READ, P.RegionAccess(0, 0, 4097).pack(), errno.EINVAL),
        (Y.REGION_READ, P.RegionAccess(4093, 0, 4).pack(), errno.EINVAL),
        (Y.REGION_READ, P.RegionAccess(1 << 63, 0, 4).pack(), errno.EINVAL),
        (Y.REGION_READ, P.RegionAccess(0, 1, 4).pack(), errno.EINVAL),
        (Y.REGION_READ, P.RegionAccess(0, 1 << 31, 4).pack(), errno.EINVAL),
        (Y.REGION_WRITE, P.RegionAccess(0, 0, 4, b"12").pack(), errno.EINVAL),
        (Y.REGION_WRITE, P.RegionAccess(0, 7, 0xFFFFFFFF, b"12").pack(), errno.EINVAL),
        (Y.DMA_UNMAP, P.DmaUnmap(2, 0, 0).pack(), errno.EINVAL),
        (Y.DEVICE_RESET, b"x", errno.EINVAL),
    ],
)
def test_wrong_request_is_refused_and_the_next_one_served(
    client: Client, served: Served, command: int, payload: bytes, number: int
) -> None:
    with pytest.raises(Failed) as failed:
        client.call(command, payload)
    assert failed.value.number == number
    assert client.config(0, 2) == 0x10EE
    assert len(served.log) == 1


@pytest.mark.parametrize(
    "data",
    [
        P.HEADER.pack(1, Y.DEVICE_GET_INFO, 0, 0, 0),
        P.HEADER.pack(1, Y.DEVICE_GET_INFO, 15, 0, 0),
        P.HEADER.pack(1, Y.REGION_WRITE, P.MESSAGE_MAX + 1, 0, 0),
        P.HEADER.pack(1, Y.REGION_WRITE, 0xFFFFFFFF, 0, 0),
        P.HEADER.pack(1, Y.DEVICE_GET_INFO, 16, P.REPLY, 0),
    ],
    ids=["no size", "short", "long", "longest", "reply"],
)
def test_bytes_that_are_no_request_are_refused_and_end_the_connection(
    client: Client, served: Served, data: bytes
) -> None:
    client.send(data)
    with pytest.raises(Failed) as failed:
        client.reply()
    assert failed.value.number == errno.EINVAL
    assert client.ends()
    with Client(served.path) as other:
        assert other.config(0, 2) == 0x10EE


@pytest.mark.parametrize("data", [b"{", b"[]\0", b"\xff\0", b'{"capabilities": 1}\0', b"{}", b"[" * 3000 + b"\0"])
def test_invalid_version_data_ends_the_connection(served: Served, data: bytes) -> None:
    with Client(served.path, agree=False) as client:
        client.request(Y.VERSION, struct.pack("=HH", 0, 1) + data)
        with pytest.raises(Failed):
            client.reply()
        assert client.ends()


def test_another_major_version_and_a_request_before_any_end_the_connection(served: Served) -> None:
    with Client(served.path, agree=False) as client:
        with pytest.raises(Failed) as failed:
            client.agree(major=1)
        assert failed.value.number == errno.ENOTSUP
        assert client.ends()
    with Client(served.path, agree=False) as client:
        client.request(Y.DEVICE_GET_INFO, P.DeviceInfo().pack())
        with pytest.raises(Failed):
            client.reply()
        assert client.ends()
    with Client(served.path, agree=False) as client:
        assert client.agree(minor=0).minor == 0


def test_unwanted_descriptors_are_closed(served: Served, client: Client) -> None:
    """The fixture counts the descriptors at the end."""
    fd = sealed_memory(4096)
    try:
        client.call(Y.DEVICE_GET_INFO, P.DeviceInfo().pack(), (fd, fd, fd))
        for fds in ((fd, fd), (fd,) * 8):
            with pytest.raises(Failed):
                client.call(Y.DMA_MAP, P.DmaMap(3, 0, 0, 4096).pack(), fds)
            with pytest.raises(Failed):
                client.call(Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_EVENTFD, P.ACTION_TRIGGER, 2, 0, 1).pack(), fds)
        client.send(P.HEADER.pack(1, Y.DMA_MAP, 48, 0, 0)[:7], (fd, fd))  # and half a message at the end
    finally:
        os.close(fd)


def test_more_descriptors_than_agreed_end_the_connection(served: Served, client: Client) -> None:
    fd = sealed_memory(4096)
    client.request(Y.DMA_MAP, P.DmaMap(3, 0, 0, 4096).pack(), (fd,) * 40)
    os.close(fd)
    with pytest.raises(Failed):
        client.reply()
    assert client.ends()


def test_descriptor_that_is_no_eventfd_does_no_harm(served: Served, client: Client) -> None:
    read, write = os.pipe()
    os.close(write)
    client.call(Y.DEVICE_SET_IRQS, P.IrqSet(P.DATA_EVENTFD, P.ACTION_TRIGGER, 2, 0, 1).pack(), (read,))
    assert not fcntl.fcntl(read, fcntl.F_GETFD) & 0x8000
    os.close(read)
    client.master()
    os.eventfd_write(served.interrupt, 1)
    assert client.config(0, 2) == 0x10EE


def test_slow_client_is_served_byte_by_byte(client: Client) -> None:
    payload = P.RegionAccess(0, 7, 2).pack()
    for byte in P.HEADER.pack(77, Y.REGION_READ, 32, 0, 0) + payload:
        client.send(bytes([byte]))
    number, _, data = client.reply()
    assert number == 77 and data[16:] == b"\xee\x10"


@pytest.mark.parametrize("seed", range(4))
def test_random_messages_never_end_the_server(served: Served, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        with Client(served.path, agree=chance.random() < 0.8) as client:
            for _ in range(chance.randint(1, 8)):
                payload = chance.randbytes(chance.choice([0, 4, 16, 20, 24, 32, 40, 200]))
                size = chance.choice([16 + len(payload)] * 6 + [chance.getrandbits(32), 17])
                command = chance.choice([*range(1, 20), chance.getrandbits(16)])
                flags = chance.choice([0, 0, 0, P.NO_REPLY, chance.getrandbits(6)])
                fds = (0,) * chance.choice([0, 0, 0, 1, 2])
                try:
                    client.send(P.HEADER.pack(1, command, size, flags, 0) + payload, fds)
                except ConnectionError:
                    break
    with Client(served.path) as client:
        assert client.config(0, 2) == 0x10EE


# --- the socket -------------------------------------------------------------------------------------


def test_socket_of_a_killed_server_is_taken_over_and_that_of_a_living_one_refused(
    served: Served, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Address already in use"):
        Server(served.path, served.device, served.interrupt, log=served.log.append)
    left = tmp_path / "left.sock"
    first = Served(left)
    os.link(left, tmp_path / "kept.sock")
    first.close()
    (tmp_path / "kept.sock").rename(left)
    second = Served(left)
    with Client(left) as client:
        assert client.config(0, 2) == 0x10EE
    second.close()
    assert not left.exists()


def test_place_that_cannot_hold_a_socket_is_named(served: Served, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none/card.sock", "No such file"), (tmp_path / ("x" * 120), "at most 107 bytes")):
        with pytest.raises(ConfigError, match=words):
            Server(path, served.device, served.interrupt, log=served.log.append)
