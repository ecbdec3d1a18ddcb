"""What can be wrong with the agent's interface: addresses and routes that the kernel does not take, and conflicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vnetcard.codes.error import ErrorCode
from vnetcard.port.address import Address, Route
from vnetcard.port.interface import State
from vnetcard.port.rtnetlink import IPV6_MTU_MIN, LinkView

Item = Address | Route


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the interface; ``message`` is one sentence."""

    code: ErrorCode
    message: str


def missing_problem(item: Item, link: LinkView, *, taken: bool) -> Problem:
    """``taken``: the kernel removed it, else another program did."""
    code = ErrorCode.ROUTE_MISSING if isinstance(item, Route) else ErrorCode.ADDRESS_MISSING
    kind = "route" if isinstance(item, Route) else "address"
    cause = cause_of(item, link) or f"{'the kernel' if taken else 'another program'} removed it"
    return Problem(code, f"the {kind} {item} is missing on {link.name}: {cause}")


def peer_trusted(settings: list[str]) -> Problem:
    """``settings``: those that the kernel refused, as text."""
    words = f"the peer may configure this machine, since these settings are refused: {'; '.join(settings)}"
    return Problem(ErrorCode.PEER_TRUSTED, words)


def in_order(routes: tuple[Route, ...]) -> list[Route]:
    """Routes without a gateway first: a gateway may be behind them."""
    return sorted(routes, key=lambda route: route.gateway is not None)


def _version(item: Item) -> int:
    return item.destination.version if isinstance(item, Route) else item.version


def cause_of(item: Item, link: LinkView) -> str:
    """Why the kernel does not let the interface have ``item`` now; '' when it does."""
    six = _version(item) == 6
    if not link.up and (six or isinstance(item, Route)):
        return "the interface is down"
    if six and link.mtu < IPV6_MTU_MIN:
        return f"the MTU of {link.mtu} is below {IPV6_MTU_MIN}, which IPv6 needs; it is set again with a larger MTU"
    if six and link.ipv6_off:
        return f"IPv6 is switched off here: sysctl net.ipv6.conf.{link.name}.disable_ipv6 is 1"
    if six and link.ipv6_off is None:
        return "this kernel runs without IPv6 (ipv6.disable=1, or no module ipv6)"
    return ""


def depends_on(item: Item, missing: list[Item]) -> bool:
    """Did the kernel remove ``item`` together with an address that another program removed?

    With a primary address go the secondary ones of its network, and with an address the routes through it.
    """
    before = missing[: missing.index(item)]
    addresses = [one for one in before if not isinstance(one, Route)]
    if isinstance(item, Route):
        return any(one.version == _version(item) for one in addresses)
    return any(one.version == 4 and one.network == item.network for one in addresses)


def conflicts(state: State) -> Iterator[Problem]:
    """Other interfaces of the namespace with an address or route inside the link's own network."""
    found: set[Address] = set()
    for own in (one.address for one in state.addresses if not one.address.is_link_local):
        for name, other in state.others:
            if other.version != own.version:
                continue
            if other.ip == own.ip:
                words = f"{name} has the address {own.ip} of {state.link.name} too: the kernel answers for both"
            elif other.ip in own.network or other.network.subnet_of(own.network):  # type: ignore[arg-type]
                words = f"{name} has {other}, inside the network of {state.link.name} ({own}): packets for the peer "
                words += f"may take {name} or never leave this machine"
            else:
                continue
            found.add(own)
            yield Problem(ErrorCode.ADDRESS_CONFLICT, words)
    for own, name in state.detours:
        if own not in found:
            words = (
                f"packets to the network of {state.link.name} ({own}) leave by {name}: another route or rule precedes"
            )
            yield Problem(ErrorCode.ROUTE_CONFLICT, words)
