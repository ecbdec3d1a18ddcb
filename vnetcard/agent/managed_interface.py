"""The agent's interface: configured at the start, compared with the kernel's state on each change, restored.

What the kernel took away (MTU below 1280, interface down, IPv6 switched off, a move into another namespace) is set
again as soon as the kernel accepts it.  What another program removed is reported as missing and left alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from vnetcard.agent.config import Config
from vnetcard.agent.interface_problems import (
    Item,
    cause_of,
    conflicts,
    depends_on,
    in_order,
    missing_problem,
    peer_trusted,
)
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.port import netns as ns
from vnetcard.port.address import Route
from vnetcard.port.interface import Interface, State, is_route
from vnetcard.port.peer_trust import distrust
from vnetcard.port.rtnetlink import LinkView, RtnetlinkEvents

MOVE_PAUSE: Final = 0.5
"""Seconds after a move in which the program that moved the interface may configure it, before the agent does."""
CHECK_PAUSE: Final = 0.1
"""Least seconds between two checks, however many notifications the kernel sends."""
RETRY_INTERVAL: Final = 1.0
"""Seconds between two attempts to set again what the kernel took away."""
KERNEL_PROTOCOL: Final = 2
"""rtm_protocol of the routes that the kernel derives from addresses (RTPROT_KERNEL)."""


class ManagedInterface:
    """``check`` and ``set_mtu`` belong to the agent's thread; ``view`` may be called by any."""

    FOLLOW_REFUSED = (
        "it was moved into a namespace where this process has no permission, or deleted; an agent of root follows it "
        "unless --privileges least forbids it"
    )

    def __init__(self, interface: Interface, config: Config, log: logging.Logger) -> None:
        self.interface = interface
        self._config = config
        self._log = log
        self._wanted: tuple[Item, ...] = (*config.addresses, *in_order(config.routes))
        self._mtu = config.mtu
        self._mtu_due = self._listen_due = False
        self._unprotected: list[str] = []
        self._lock = threading.Lock()
        self._taken: set[Item] = set()
        """Missing because of the kernel: to be set again."""
        self._reported: dict[object, str] = {}
        self._name = interface.name
        self.port_up = True
        """Can packets go on behind the port?  As of the last check."""
        self._check_at = self._checked_at = 0.0
        self._moved_at: float | None = None
        self._events = self._listen()

    def _listen(self) -> RtnetlinkEvents:
        with ns.inside(self.interface.place):
            return RtnetlinkEvents(routes=bool(self._config.routes))

    def fileno(self) -> int:
        """Readable once the kernel has something to report; changes when the interface is moved."""
        return self._events.fileno()

    # --- the start ---------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Bring the interface up, remove what an earlier agent has set and set what is asked for.

        PortUnavailable when the kernel refuses any of it; IPv6 alone may be missing beside IPv4.
        """
        self._protect()
        self.interface.up(mtu=self._mtu)
        self._remove_outdated(self.interface.state(routes=True))
        link = self.interface.link()
        addresses = self._config.addresses
        if addresses and all(cause_of(address, link) for address in addresses):
            raise PortUnavailable(f"interface {self._name}: {cause_of(addresses[0], link)}", code=ErrorCode.FAMILY_OFF)
        for item in self._wanted:
            if cause := cause_of(item, link):
                self._taken.add(item)
                self._report(item, f"{item} is not set: {cause}")
        if self._config.routes:
            self.interface.prepare_routes()
        self._set([item for item in self._wanted if item not in self._taken])
        self._check_at = time.monotonic() + RETRY_INTERVAL if self._taken else 0.0
        self._report_unprotected()
        self._report_conflicts(self.interface.state(routes=False))

    def _protect(self) -> None:
        """Keep the peer's packets from configuring this machine."""
        self._unprotected = [] if self._config.trust_peer else distrust(self._name, self.interface.place)

    def _report_unprotected(self) -> None:
        self._protect()
        if self._unprotected:
            self._report(self._protect, peer_trusted(self._unprotected).message)

    def _remove_outdated(self, state: State) -> None:
        for one in state.addresses:
            if one.ours and one.address not in self._config.addresses:
                self.interface.remove_address(one.address)
                self._log.info("%s: removed %s, which is no longer asked for", self._name, one.address)
        for route in state.routes:
            if route.ours and not any(is_route(route, wanted) for wanted in self._config.routes):
                self.interface.remove_route(route)
                self._log.info("%s: removed the route %s, which is no longer asked for", self._name, route.destination)

    def _set(self, items: list[Item]) -> None:
        """Set addresses, then routes; a route whose gateway is not reachable yet is tried again after the others."""
        while items:
            refused: dict[Item, PortUnavailable] = {}
            for item in items:
                try:
                    self._set_one(item)
                except PortUnavailable as error:
                    if error.code is not ErrorCode.ROUTE_UNREACHABLE:
                        raise
                    refused[item] = error
            if len(refused) == len(items):
                raise next(iter(refused.values()))
            items = list(refused)

    def _set_one(self, item: Item) -> None:
        if isinstance(item, Route):
            self.interface.add_route(item)
        else:
            self.interface.add_address(item)

    # --- while it runs -----------------------------------------------------------------------------------

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU that both sides have agreed on, and what the kernel gives back or takes away with it.

        What the kernel refuses now is reported, and tried again by ``check``.
        """
        self._mtu, self._mtu_due = mtu, True
        self.check(force=True)

    def _apply_mtu(self) -> None:
        try:
            if self.interface.link().mtu != self._mtu:
                self.interface.set_mtu(self._mtu)
        except VnetcardError as error:
            self._report(self._apply_mtu, f"{error}; trying again")
        else:
            self._mtu_due = False
            self._reported.pop(self._apply_mtu, None)

    def check(self, *, force: bool = False) -> float | None:
        """Compare with the kernel where it has reported a change; seconds until this is to be called again, if so."""
        now = time.monotonic()
        changed, disturbed = self._events.read(self.interface.index)
        if changed:
            # At once, if it can be: what switched IPv6 off may switch it on again, and the cause would be gone.
            self._check_at = now if disturbed else self._check_at or max(now, self._checked_at + CHECK_PAUSE)
        if not force and not self._check_at and self._moved_at is None:
            return None
        with self._lock:
            if force or (self._check_at and now >= self._check_at):
                self._check_at, self._checked_at = 0.0, now
                self._compare(disturbed=disturbed)
                if (
                    self._taken or self._mtu_due or self._listen_due
                ) and not self._check_at:  # not each change that gives it back is notified
                    self._check_at = now + RETRY_INTERVAL
            if self._moved_at is not None and now >= self._moved_at + MOVE_PAUSE:
                self._moved_at = None
                self._configure_again()
        waits = [at for at in (self._check_at, (self._moved_at or -MOVE_PAUSE) + MOVE_PAUSE) if at]
        return max(0.0, min(waits) - now) if waits else None

    def _compare(self, *, disturbed: bool) -> None:
        if self._listen_due:
            self._listen_again()
        try:
            if self._mtu_due:
                self._apply_mtu()
            state = self.interface.state(routes=bool(self._config.routes))
        except OSError:
            return self._follow()
        if state.link.name != self._name:
            self._log.info("interface %s is named %s now", self._name, state.link.name)
            self._name = state.link.name
        self.port_up = self._is_port_up(state.link)
        self._report_unprotected()
        self._restore(state, disturbed=disturbed)
        self._report_conflicts(state)
        return None

    def _is_port_up(self, link: LinkView) -> bool:
        return link.up

    def accept_peer_mac(self, mac: str) -> None:
        """Take over the MAC address that this side's frames must have, where that can be; '' for any."""

    def _restore(self, state: State, *, disturbed: bool) -> None:
        missing = list(self._missing(state))
        for item in set(self._reported) & set(self._wanted):
            if item not in missing:
                self._taken.discard(item)
                del self._reported[item]
        for item in missing:
            if cause := cause_of(item, state.link):
                self._taken.add(item)
                self._report(item, f"{item} is gone: {cause}")
            elif disturbed or item in self._taken or depends_on(item, missing):
                self._taken.add(item)
                self._set_again(item)
            else:
                self._report(item, f"{item} is gone: another program removed it")

    def _set_again(self, item: Item) -> None:
        try:
            self._set_one(item)
        except VnetcardError as error:
            self._report(item, f"{item} is gone and cannot be set again: {error}")
        else:
            self._taken.discard(item)
            self._reported.pop(item, None)
            self._log.info("%s: %s is set again", self._name, item)

    def _follow(self) -> None:
        """The interface has left its namespace: go on with it where it is."""
        if not self.interface.find():
            self._report(self._follow, self.FOLLOW_REFUSED)
            return
        self._reported.pop(self._follow, None)
        self._listen_again()
        place = self.interface.place
        where = ns.name_of(place) if isinstance(place, int) else place
        self._log.info("interface %s was moved into the namespace %s", self._name, where or "of this process")
        self._taken |= set(self._wanted)
        self._moved_at = time.monotonic()

    def _listen_again(self) -> None:
        """Be notified of the namespace in which the interface is now; until that succeeds, checks are timed."""
        try:
            events = self._listen()
        except (OSError, VnetcardError) as error:
            self._listen_due = True
            self._report(self._listen_again, f"no notifications from its namespace ({error}); trying again")
        else:
            self._events.close()
            self._events, self._listen_due = events, False
            self._reported.pop(self._listen_again, None)

    def _configure_again(self) -> None:
        try:
            link = self.interface.link()
            if not link.up or link.mtu != self._mtu:
                self._protect()
                self.interface.up(mtu=self._mtu)
            self._compare(disturbed=True)
        except (OSError, VnetcardError) as error:
            self._log.warning("interface %s cannot be configured where it is now: %s", self._name, error)

    def _report(self, key: object, message: str) -> None:
        """A warning, once until it changes."""
        if self._reported.get(key) != message:
            self._reported[key] = message
            self._log.warning("interface %s: %s", self._name, message)

    def _report_conflicts(self, state: State) -> None:
        messages = {problem.message: problem for problem in conflicts(state)}
        for key in [key for key in self._reported if isinstance(key, str) and key not in messages]:
            del self._reported[key]
        for message, problem in messages.items():
            if message not in self._reported:
                self._reported[message] = message
                self._log.warning("%s", message, extra={"code": problem.code})

    # --- what is shown -----------------------------------------------------------------------------------

    def view(self) -> dict[str, Any]:
        """The interface as the kernel has it now, for ``status``; without its state where it cannot be asked."""
        with self._lock:
            try:
                state = self.interface.state(routes=True)
            except OSError:
                message = f"interface {self._name} is not in its namespace any more"
                return {"name": self._name, "problems": [{"code": ErrorCode.PORT_GONE.value, "message": message}]}
            # What is seen here is remembered for the check, before whose turn the cause may have gone again.
            self._taken |= {item for item in self._missing(state) if cause_of(item, state.link)}
        missing = [missing_problem(item, state.link, taken=item in self._taken) for item in self._missing(state)]
        problems = [*missing, *conflicts(state)]
        if self._unprotected:
            problems.append(peer_trusted(self._unprotected))
        return {
            "name": state.link.name,
            "index": state.index,
            "netns": state.netns,
            "netns_id": state.netns_id,
            "up": state.link.up,
            "mtu": state.link.mtu,
            "addresses": self._shown_addresses(state),
            "routes": [
                str(Route(one.destination, one.gateway, one.metric or None))
                for one in state.routes
                if one.protocol != KERNEL_PROTOCOL
            ],
            "problems": [{"code": one.code.value, "message": one.message} for one in problems],
        }

    def _shown_addresses(self, state: State) -> list[str]:
        """Those asked for first, in their order; without link-local ones that were not asked for."""
        there = [one.address for one in state.addresses]
        asked = [address for address in self._config.addresses if address in there]
        return [str(one) for one in (*asked, *(one for one in there if one not in asked and not one.is_link_local))]

    def _missing(self, state: State) -> Iterator[Item]:
        there = {one.address for one in state.addresses}
        for item in self._wanted:
            if isinstance(item, Route):
                if not any(is_route(one, item) for one in state.routes):
                    yield item
            elif item not in there:
                yield item

    def close(self) -> None:
        """Close the sockets; the interface stays as it is."""
        self._events.close()
        self.interface.close()
