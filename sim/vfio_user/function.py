"""A PCI function in front of a running simulator: device, engine and server together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vnetcard.ring import layout as L
from vnetcard.sim.library import Simulator
from vnetcard.sim.vfio_user.device import Device
from vnetcard.sim.vfio_user.server import Server
from vnetcard.sim.vfio_user.simulated import SimulatedEngine


class Function:
    """Serves simulation ``name`` at the socket ``path`` until ``close``; other threads than its own call it."""

    def __init__(
        self, path: Path, simulator: Simulator, name: str, eventfd: int, *, log: Callable[[str], None]
    ) -> None:
        """``eventfd`` is the ``host_eventfd`` of ``simulator``, which runs.  Raises ConfigError: no such socket."""
        self._simulator = simulator
        self._engine = SimulatedEngine(simulator, name)
        self._device = Device(self._engine)
        try:
            self._server = Server(path, self._device, eventfd, log=log)
        except BaseException:
            self._engine.close()
            raise

    def remove_card(self) -> None:
        """Pull the card out: configuration and registers read as all ones, and no memory is accessed."""
        self._server.call(self._engine.remove)

    def put_card_back(self, instance: int) -> None:
        """Put the card back, as after power-up, with a new ``instance``."""

        def put_back() -> None:
            self._engine.put_back(instance)
            self._device.power_cycle()

        self._server.call(put_back)

    def refuse(self, on: bool) -> None:
        """Let the IOMMU refuse every access of the engine to the client's memory, or no longer."""
        self._engine.refuse(on)

    def totals(self) -> dict[str, int]:
        """Clients, function resets, interrupts sent, present DMA maps, and accesses that no map allowed."""
        return {
            "clients": self._server.clients,
            "function_resets": self._device.resets,
            "msix": self._device.vectors.sent,
            "dma_maps": self._simulator.maps(),
            "refused": self._simulator.stats().side[L.HOST].outside,
        }

    def text(self) -> str:
        """The totals as a line."""
        return "PCI function: " + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in self.totals().items())

    def close(self) -> None:
        """End the server; the simulator must still run."""
        self._server.close()
        self._engine.close()
