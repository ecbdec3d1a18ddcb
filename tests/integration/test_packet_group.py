"""Queues of a `packet:` port on a machine that has had no group of packet sockets since its start."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, ClassVar

import pytest

from tests.harness.programs import ip
from tests.harness.restarts import until
from vnetcard.port import packet
from vnetcard.port.netns import inside
from vnetcard.port.packet_options import PacketOptions

pytestmark = pytest.mark.root

FRAMES = 100
EXPERIMENT = 0x88B5
"""The EtherType of IEEE 802 for experiments."""


class FirstOfTheMachine(socket.socket):
    """A socket for which the kernel's first group has the id 0, as after the start of a machine."""

    real: ClassVar[int] = 0

    def getsockopt(self, level: int, option: int, *size: int) -> Any:
        value = super().getsockopt(level, option, *size)
        if (level, option) != (packet.SOL_PACKET, packet.PACKET_FANOUT):
            return value
        FirstOfTheMachine.real = value & 0xFFFF
        return value & ~0xFFFF

    def setsockopt(self, level: int, option: int, value: Any) -> None:  # type: ignore[override]
        if (level, option) == (packet.SOL_PACKET, packet.PACKET_FANOUT):
            (given,) = struct.unpack("=I", value)
            if not given >> 16 & packet.PACKET_FANOUT_FLAG_UNIQUEID:
                assert given & 0xFFFF == 0
                value = struct.pack("=I", given | self.real)
        super().setsockopt(level, option, value)


def test_each_frame_is_received_once(netns_pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = netns_pair
    ip("link", "add", "veth0", "netns", near, "type", "veth", "peer", "name", "veth0", "netns", far)
    for netns in (near, far):
        ip("-n", netns, "link", "set", "veth0", "up")
    with monkeypatch.context() as patch:
        patch.setattr("vnetcard.port.packet.socket.socket", FirstOfTheMachine)
        port = packet.PacketPort(PacketOptions("veth0"), netns=near, queues=2)
    try:
        until(lambda: port.present, "the veth has carrier")
        with inside(far):
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with sender:
            sender.bind(("veth0", 0))
            for number in range(FRAMES):
                sender.send(bytes(12) + EXPERIMENT.to_bytes(2, "big") + number.to_bytes(46, "big"))
        found: list[int] = []

        def receive() -> bool:
            for fd in port.fds:
                try:
                    frame = os.read(fd, 2000)[-60:]
                except BlockingIOError:
                    continue
                if frame[12:14] == EXPERIMENT.to_bytes(2, "big"):
                    found.append(int.from_bytes(frame[14:], "big"))
            return len(set(found)) == FRAMES

        until(receive, "all frames are received")
        receive()
        assert sorted(found) == list(range(FRAMES))
    finally:
        port.close()
