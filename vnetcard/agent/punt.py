"""The exception path of ``--punt``: a program gets packets of the peer instead of the port, and may give them back.

DPDK's KNI and NFQUEUE of nftables have the same use.  The rx pumps pick and send the packets (_c/vnc_punt.h); what the
program sends is written into the port here.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

from vnetcard import _core
from vnetcard.agent.punt_rule import PuntRule
from vnetcard.port import Port, frames_of, rings_of, unix_socket
from vnetcard.port.bpf import Filter
from vnetcard.port.packet_ip import IpPacketPort
from vnetcard.ring import layout as L

_PROGRAM, _SENT, _DROPPED = range(3)
"""Words of the state that the pumps share, see _c/vnc_pump.h."""
_NO_OFFLOAD: Final = bytes(L.VNET_HDR)


class Punt:
    """Serves one rule, from before the first pump is attached until after the last one is closed."""

    def __init__(self, rule: PuntRule, port: Port) -> None:
        """Compile the filter, and listen.  ConfigError, PortUnavailable."""
        self._rule, self._port = rule, port
        self._state = (ctypes.c_uint64 * 3)()
        self._returned = self._refused = 0
        frames = frames_of(port)
        self._filter = Filter(rule.filter, ethernet=frames == L.FRAMES["ETHERNET"])
        try:
            self._socket = unix_socket.listen(rule.path, frames, rule.path, receiver=self)
        except BaseException:
            self._filter.close()
            raise

    def attach(self, rx: _core.Pump) -> None:
        """Let the pump, which is held, pick packets."""
        run, program = self._filter.native
        rx.punt(
            run=run,
            program=program,
            fd=self._socket.fds[0],
            state=ctypes.addressof(self._state),
            bypass=self._rule.bypass,
        )

    def view(self) -> dict[str, Any]:
        """The rule, whether a program is connected, and packets since the agent has started."""
        return {
            "filter": self._rule.filter,
            "path": self._rule.path,
            "bypass": self._rule.bypass,
            "program": bool(self._state[_PROGRAM]),
            "punted": int(self._state[_SENT]),
            "dropped": int(self._state[_DROPPED]),
            "returned": self._returned,
            "return_refused": self._refused,
        }

    def close(self) -> None:
        self._socket.close()
        self._filter.close()

    # --- calls of the socket, in its thread (vnetcard.port.unix_socket.Receiver) ----------------------

    def connected(self, present: bool) -> None:
        self._state[_PROGRAM] = present

    def receive(self, packet: bytes) -> None:
        """Write a packet of the program into the port; one that this cannot take is counted."""
        if 0 < len(packet) <= L.FRAME_MAX and self._write(packet):
            self._returned += 1
        else:
            self._refused += 1

    def _write(self, packet: bytes) -> bool:
        """False: the port is full, down, or takes no such packet; as with any other sender, nobody waits."""
        rings = rings_of(self._port)
        try:
            if rings is not None:
                rings.write(_NO_OFFLOAD + packet if self._port.vnet else packet)
            elif isinstance(self._port, IpPacketPort):
                self._port.inject(packet)
            else:
                os.writev(self._port.fds[0], [_NO_OFFLOAD, packet] if self._port.vnet else [packet])
        except OSError:
            return False
        return True
