"""Rules that find what is broken, refused, dropped or lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vnetcard.codes.cause import CauseCode
from vnetcard.codes.link import LinkReason
from vnetcard.observe.cause import Cause, counts, other
from vnetcard.observe.views import Snapshot, View
from vnetcard.ring import layout as L


def unresponsive(snapshot: Snapshot) -> Iterator[Cause]:
    """Agents of this machine that do not answer."""
    for side, why in snapshot.unresponsive().items():
        yield Cause(CauseCode.AGENT_UNRESPONSIVE, side, why)


def device_gone(snapshot: Snapshot) -> Iterator[Cause]:
    """Links in the state gone: the device left the bus, or its memory was taken away."""
    for view in snapshot.views:
        if view["link"]["state"] == "gone":
            yield Cause(CauseCode.DEVICE_GONE, view["side"], view["link"]["reason"])


def refused(snapshot: Snapshot) -> Iterator[Cause]:
    """Links in the state refused: wire format or MTU of the two sides do not match."""
    for view in snapshot.views:
        if view["link"]["state"] == "refused":
            version = view["link"]["reason_code"] == LinkReason.VERSION_MISMATCH
            code = CauseCode.VERSION_MISMATCH if version else CauseCode.MTU_MISMATCH
            yield Cause(code, other(view["side"]), view["link"]["reason"])


def engine_halted(snapshot: Snapshot) -> Iterator[Cause]:
    """Halts of the DMA engine in the link's history, by timeout, bus error or order of reads."""
    counted = counts(snapshot)
    for view in snapshot.views:
        halts = [change for change in view["link"]["history"] if change["state"] == "halted"]
        if not halts or not counted.get(view["side"], {}).get("engine_halt"):
            continue
        reason = halts[-1]["reason"]
        fault = halts[-1]["fault_code"]  # an engine's cause, see engine/registers.py, or one of its driver
        yield Cause(
            {"TIMEOUT": CauseCode.ENGINE_STALLED, "READ_ORDER": CauseCode.ENGINE_READ_ORDER}.get(
                fault, CauseCode.ENGINE_BUS_ERROR
            ),
            view["side"],
            f"the DMA engine halted {len(halts)} times: {reason}",
        )


def side_blocks(snapshot: Snapshot) -> Iterator[Cause]:
    """Before the indices: a peer that reads a damaged epoch resets its own indices, which then seem impossible."""
    for side, count in counts(snapshot).items():
        if count.get("viol_side_block") or count.get("viol_final_count"):
            yield Cause(
                CauseCode.CORRUPT_SIDE_BLOCK,
                other(side),
                f"the {side} found side blocks overwritten ({count.get('viol_side_block', 0)} times) or with an "
                f"impossible final count ({count.get('viol_final_count', 0)}): another program writes into the window",
            )


def overwritten(snapshot: Snapshot) -> Iterator[Cause]:
    """What a side wrote again into the window, and counters that it could not save."""
    for side, count in counts(snapshot).items():
        found = {name: count.get(name, 0) for name in ("superblock_restored", "ledger_restored", "ledger_restarted")}
        if any(found.values()):
            yield Cause(
                CauseCode.WINDOW_OVERWRITTEN,
                side,
                f"another program overwrote the window: the {side} restored the superblock "
                f"{found['superblock_restored']} times and counters {found['ledger_restored']} times; counters that "
                f"began again at 0: {found['ledger_restarted']}",
            )


def violations(snapshot: Snapshot) -> Iterator[Cause]:
    """Records, indices and headers of the peer that the wire format forbids."""
    for side, count in counts(snapshot).items():
        records = sum(count.get(name, 0) for name in ("viol_len", "viol_header", "viol_seq"))
        if records:
            yield Cause(
                CauseCode.CORRUPT_RECORDS,
                other(side),
                f"the {side} found {records} corrupt records in {L.DIRECTIONS[L.SIDES.index(other(side))]}: "
                f"the bus or the {other(side)}'s program damages them",
            )
        if count.get("viol_prod") or count.get("viol_cons"):
            yield Cause(
                CauseCode.CORRUPT_INDEX,
                other(side),
                f"the {other(side)} published impossible indices ({count['viol_prod']} prod, "
                f"{count['viol_cons']} cons): another program writes into its lines",
            )
        if bad := count.get("drop_bad_frame", 0) + count.get("drop_segments", 0):
            yield Cause(
                CauseCode.BAD_FRAMES,
                other(side),
                f"{bad} packets from the {other(side)} had an impossible virtio_net_hdr, broken "
                "headers or too many segments",
            )


def peer(snapshot: Snapshot) -> Iterator[Cause]:
    """Peers that are dead, were restarted, or have not come up yet."""
    counted = counts(snapshot)
    for view in snapshot.views:
        side, state = view["side"], view["link"]["state"]
        own = counted.get(side, {})
        if state == "peer-dead" or own.get("peer_dead") or own.get("drop_peer_dead"):
            now = "gives" if state == "peer-dead" else "gave"
            yield Cause(
                CauseCode.PEER_DEAD,
                other(side),
                f"the {other(side)}'s agent {now} no heartbeat: it is stopped or has no CPU; "
                f"{own.get('drop_peer_dead', 0)} packets were dropped",
            )
        if (restarts := own.get("peer_restart", 0)) and not own.get("own_restart"):
            yield Cause(
                CauseCode.PEER_RESTARTS,
                other(side),
                f"the {other(side)}'s agent was restarted {restarts} times; {own.get('lost_restart', 0)} records "
                f"in flight were lost and {own.get('drop_link_down', 0)} packets dropped",
            )
        if state in ("waiting", "handshake"):
            yield Cause(
                CauseCode.NO_PEER,
                other(side),
                f"no agent answers on the {other(side)}'s side; {own.get('drop_link_down', 0)} packets were dropped",
            )


def punt(snapshot: Snapshot) -> Iterator[Cause]:
    """Packets for a program beside the port that it did not take."""
    for side, count in counts(snapshot).items():
        view = _punt(snapshot, side)
        dropped = count.get("drop_port_down", 0) + count.get("drop_port_refused", 0)
        if view and view["dropped"] and dropped:
            why = "takes them too slowly" if view["program"] else "is not connected"
            yield Cause(
                CauseCode.PUNT_DROPPED,
                side,
                f"{dropped} packets for the program at {view['path']} of the {side}'s --punt were dropped: it {why}",
            )


def _punt(snapshot: Snapshot, side: str) -> View:
    return (snapshot.port(side) or {}).get("punt") or {}


def _refused_by_punt(snapshot: Snapshot, side: str, count: Mapping[str, int]) -> bool:
    """Whether the program of --punt explains all packets that the port of ``side`` did not take."""
    dropped: int = _punt(snapshot, side).get("dropped", 0)
    return 0 < count.get("drop_port_down", 0) + count.get("drop_port_refused", 0) <= dropped


def port(snapshot: Snapshot) -> Iterator[Cause]:
    """Packets that the kernel or its interface did not accept or deliver, and ports with nothing behind them."""
    down = {other(v["side"]) for v in snapshot.views if v["link"].get("reason_code") == LinkReason.PEER_PORT_DOWN}
    for side, count in counts(snapshot).items():
        punted = _refused_by_punt(snapshot, side, count)
        if count.get("offload_refused") or (count.get("drop_port_refused") and not punted):
            yield Cause(
                CauseCode.PORT_REFUSED,
                side,
                f"the {side}'s kernel refused {count['drop_port_refused']} packets; offloads withdrawn: "
                f"{count['offload_refused']}",
            )
        if side in down:
            yield Cause(
                CauseCode.INTERFACE_DOWN,
                side,
                f"{_what_is_down(snapshot, side)}: the {other(side)}'s interface has no carrier; "
                f"{count['drop_port_down']} packets dropped before",
            )
        elif count.get("drop_port_down") and not punted:
            yield Cause(
                CauseCode.INTERFACE_DOWN,
                side,
                f"the {side}'s interface was down, or no program was at its port: {count['drop_port_down']} packets "
                "dropped; `ip link set up`",
            )
        if count.get("drop_malformed"):
            yield Cause(
                CauseCode.MALFORMED_PACKETS,
                side,
                f"the {side}'s interface delivered {count['drop_malformed']} reads without a packet in them",
            )
        if count.get("drop_offload"):
            yield Cause(
                CauseCode.OFFLOAD_MISMATCH,
                side,
                f"{count['drop_offload']} packets of the {side}'s kernel need an offload that the {other(side)} does "
                "not take; some are normal when a link has just changed, more are not",
            )


def _what_is_down(snapshot: Snapshot, side: str) -> str:
    """What is missing behind the port of ``side``, as far as its agent says."""
    found = snapshot.by_side[side]["port"] if side in snapshot.by_side else {}
    if found.get("present") is False:
        return f"no program is connected to the {side}'s port {found['url']}"
    if found.get("up") and "lower" in found:
        return f"{found['lower']['name']} below the {side}'s {found['name']} is down or has no carrier"
    if found.get("up") and "bridge" in found:
        return f"the bridge {found['bridge']} of the {side}'s {found['name']} is down; `ip link set up`"
    return f"the {side}'s interface {found.get('name', '')} is down or leads nowhere; `ip link set up`"


def filtered(snapshot: Snapshot) -> Iterator[Cause]:
    """Packets of the peer that an agent's filter dropped."""
    for side, count in counts(snapshot).items():
        if count.get("drop_source"):
            yield Cause(
                CauseCode.FOREIGN_SOURCES,
                other(side),
                f"{count['drop_source']} packets from the {other(side)} had a source address outside the {side}'s "
                "--allow",
            )
        if count.get("drop_redirect"):
            yield Cause(
                CauseCode.PEER_CONFIGURES,
                other(side),
                f"{count['drop_redirect']} redirects or router advertisements from the {other(side)} were dropped: "
                f"they would configure the {side}",
            )


def too_big(snapshot: Snapshot) -> Iterator[Cause]:
    """Packets of the kernel that were larger than the link's MTU."""
    for side, count in counts(snapshot).items():
        if not count.get("drop_too_big"):
            continue
        view = snapshot.by_side.get(side)
        mtu = (view and view["link"].get("mtu")) or ""
        name = view["port"]["name"] if view else "the interface"
        yield Cause(
            CauseCode.PACKET_TOO_BIG,
            side,
            f"{count['drop_too_big']} packets of the {side}'s kernel were larger than the link's MTU of {mtu}: "
            f"`ip link set {name} mtu {mtu}`, or start both agents with a larger --mtu",
        )


def late_wakeups(snapshot: Snapshot) -> Iterator[Cause]:
    """Sleeps of pumps that ended by timeout although the peer had moved its index."""
    for side, count in counts(snapshot).items():
        late = count.get("tx_late_wakeups", 0) + count.get("rx_late_wakeups", 0)
        if late > 2:
            yield Cause(
                CauseCode.LOST_DOORBELL,
                other(side),
                f"{late} times the {side}'s pumps slept until their time-out although the {other(side)} had moved: "
                "its wake-ups get lost",
            )


def mtu(snapshot: Snapshot) -> Iterator[Cause]:
    """Sides whose own MTU is larger than the one that the link uses."""
    for view in snapshot.views:
        agreed, own = view["link"].get("mtu"), view["mtu"]
        if agreed and agreed < own:
            yield Cause(
                CauseCode.MTU_MISMATCH,
                other(view["side"]),
                f"the {view['side']} is set to an MTU of {own}, the {other(view['side'])} to {agreed}: "
                f"{agreed} counts; give both the same --mtu",
            )


def interrupted(snapshot: Snapshot) -> Iterator[Cause]:
    """Of packets that were dropped while the link was down, when no other rule says why it was down."""
    if any(
        True for rule in (unresponsive, device_gone, refused, engine_halted, side_blocks, peer) for _ in rule(snapshot)
    ):
        return
    for side, count in counts(snapshot).items():
        dropped, lost = count.get("drop_link_down", 0), count.get("lost_restart", 0)
        if dropped or lost:
            yield Cause(
                CauseCode.LINK_INTERRUPTED,
                side,
                f"the {side}'s link was down for a time: {dropped} packets were dropped and {lost} records in flight "
                "lost; `vnetcard show link` says when and why",
            )


RULES = (
    unresponsive,
    device_gone,
    refused,
    engine_halted,
    side_blocks,
    overwritten,
    violations,
    peer,
    punt,
    port,
    filtered,
    too_big,
    late_wakeups,
    mtu,
    interrupted,
)
"""In the order of probability: an earlier cause explains later ones."""
