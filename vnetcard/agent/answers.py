"""The agent's answers to the requests of its control socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from vnetcard.agent import collect, status
from vnetcard.agent.config import Config
from vnetcard.agent.control import Lease
from vnetcard.agent.history import History
from vnetcard.agent.kernel_discards import KernelDiscards
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.agent.packet_discards import PacketDiscards
from vnetcard.agent.port_details import PortDetails
from vnetcard.agent.privileges import Privileges
from vnetcard.agent.service import LogOutput
from vnetcard.agent.tap_registry import TapRegistry
from vnetcard.codes.link import LinkReason
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import QueueEndpoints
from vnetcard.link.types import Offer
from vnetcard.port import Port, presence_of
from vnetcard.port.packet import PacketPort
from vnetcard.window import Window


class Answering(Protocol):
    """What of an agent is shown; see ``vnetcard.agent.agent.Agent``."""

    config: Config
    window: Window
    port: Port
    link: Link | None
    endpoints: QueueEndpoints[PumpEndpoints] | None
    interface: ManagedInterface | None
    details: PortDetails
    offer: Offer
    discards: KernelDiscards | PacketDiscards | None
    history: History
    taps: TapRegistry
    output: LogOutput
    privileges: Privileges
    lost: str | None
    lost_code: LinkReason
    since: float


class Answers:
    """``answer`` may be called by any thread."""

    def __init__(self, agent: Answering) -> None:
        self._agent = agent

    def answer(self, question: dict[str, Any]) -> dict[str, Any] | Lease:
        """``{"ask": NAME}`` with a name of the table; ``tap`` takes what ``vnetcard.ring.tap_shm.TapRequest`` reads."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | Lease]] = {
            "status": self._status,
            "show": self._show,
            "clear": self._clear,
            "tap": self._agent.taps.lend,
        }
        answer = answers.get(str(question.get("ask")))
        if answer is None:
            return {"error": f"unknown question {question.get('ask')!r} (known: {', '.join(answers)})"}
        return answer(question)

    def _port(self) -> dict[str, Any]:
        """The interface as the kernel has it; of another kind of port as it was configured."""
        agent = self._agent
        view = status.view_port(agent.config, agent.offer.frames) | (agent.interface.view() if agent.interface else {})
        there = presence_of(agent.port)
        present: dict[str, Any] = {} if there is None else {"present": there}
        if isinstance(agent.port, PacketPort):
            present["name"] = agent.port.name
        return view | present | ({"kernel": agent.discards.view()} if agent.discards else {})

    def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        agent, port = self._agent, self._port()
        if agent.lost:
            view = status.collect_lost(agent.config, agent.window.url, agent.lost, agent.lost_code, port=port)
        else:
            since = time.monotonic() - agent.since
            view = status.collect(agent.config, agent.window, agent.link, port=port, since=since)
        return view | {"log": {"lost": agent.output.dropped}, "privileges": agent.privileges.view()}

    def _show(self, _: dict[str, Any]) -> dict[str, Any]:
        agent, history = self._agent, self._agent.history
        port = self._port() | {"details": agent.details.view(agent.link)}
        if agent.lost:
            return collect.collect_lost(agent.config, agent.window.url, agent.lost, agent.lost_code, history, port=port)
        since = time.monotonic() - agent.since
        return collect.collect(agent.config, agent.window, agent.link, agent.endpoints, history, port=port, since=since)

    def _clear(self, question: dict[str, Any]) -> dict[str, Any]:
        """Readers count from now on; in the window only a pump's high-water mark is reset."""
        agent = self._agent
        if not agent.lost:
            what = str(question.get("what"))
            kernel = {"kernel": agent.discards.counts()} if agent.discards else {}
            kernel |= {"device": agent.details.counters()} if what == "port" else {}
            agent.history.clear(what, collect.baseline(agent.window, agent.config.side, what) | kernel)
            if what == "ring" and agent.endpoints is not None:
                for pair in agent.endpoints.pairs:
                    pair.rx.reset_high_water()
        return {"cleared": question.get("what")}
