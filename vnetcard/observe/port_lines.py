"""A port for people, as ``vnetcard show port`` has it: pairs of a word and what there is to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_FRAMES = {"ip": "IP packets", "ethernet": "Ethernet frames"}


def port_lines(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """``view`` as ``Snapshot.port`` makes it."""
    device, queues = view["device"], view["queues"]
    yield "kind", f"{view['kind']}: {_FRAMES.get(view['frames'], view['frames'])}"
    yield "state", _state(view)
    if device:
        place = f" in {view['netns']}" if view["netns"] else ""
        yield (
            "interface",
            f"{device['name']}{place}, MTU {device['mtu']}" + (f", MAC {view['mac']}" * bool(view["mac"])),
        )
    if view.get("lower"):
        lower = view["lower"]
        carrier = "carrier" if lower["carrier"] else "NO CARRIER"
        place = f" in {lower['netns']}" if lower["netns"] not in (None, view["netns"]) else ""
        yield "below", f"{lower['name']}{place}: {'up' if lower['up'] else 'DOWN'}, {carrier}, MTU {lower['mtu']}"
    if view.get("bridge"):
        yield "bridge", view["bridge"]
    in_use = "none in use" if queues["in_use"] is None else f"{queues['in_use']} in use"
    header = "with virtio_net_hdr" if view["vnet_hdr"] else "plain"
    yield "queues", f"{queues['open']} open, {in_use}; packets {header}"
    if queues["open"] > 1 and queues["unsteered"] is not None:
        yield "steering", queues["unsteered"] or "the first queue is for flows that send little"
    yield "offloads", " ".join(view["offloads"]) or "none"
    if device:
        yield from _device_lines(device)
    if view.get("rings"):
        yield "rings", _rings(view["rings"])
    if view["socket_drops"] is not None:
        yield "socket", f"{view['socket_drops']} frames dropped, as its buffer was full"
    if punt := view.get("punt"):
        yield "punt", _punt(punt)
    if near := view.get("neighbours"):
        yield "neighbours", f"{near['known']} known; {near['unresolved']} packets dropped, as theirs did not answer"


def _punt(view: dict[str, Any]) -> str:
    absent = f"NO PROGRAM is connected: packets {'go to the port' if view['bypass'] else 'are dropped'}"
    return (
        f"'{view['filter']}' to {view['path']}: {'a program is connected' if view['program'] else absent}; "
        f"{view['punted']} punted, {view['dropped']} dropped, {view['returned']} returned, "
        f"{view['return_refused']} refused on return"
    )


def _rings(view: dict[str, Any]) -> str:
    peer = f" of {view['peer']!r}" if view.get("peer") else ""
    slots = f"; rings of {view['receive_slots']} (in) and {view['send_slots']} slots (out)"
    features = f"; {' '.join(view['features'])}" if view.get("features") else ""
    return (
        f"{view['role']}{peer}{slots if view['receive_slots'] else ''}{features}; "
        f"{view['faults']} connections ended by what the peer wrote"
    )


def _state(view: dict[str, Any]) -> str:
    if view["program"] is not None:
        return "a program is connected" if view["program"] else "NO PROGRAM is connected"
    device = view["device"]
    if device is None:
        return "open" if view["up"] else "DOWN"
    carrier = f"carrier (changed {device['carrier_changes']} times)" if device["carrier"] else "NO CARRIER"
    behind = "" if view["up"] or not device["up"] else "; nothing behind it: the peer has no carrier"
    return f"{'up' if device['up'] else 'DOWN'}, {carrier}{behind}"


def _device_lines(device: dict[str, Any]) -> Iterator[tuple[str, str]]:
    counters = device["counters"]
    if device["qdisc"]:
        dropped = counters.get("qdisc_dropped", 0)
        yield "qdisc", f"{device['qdisc']} of {device['txqueuelen']}: {device['waiting']} wait, {dropped} dropped"
    for direction in ("tx", "rx"):
        packets, size = counters.get(f"{direction}_packets", 0), counters.get(f"{direction}_bytes", 0)
        errors, dropped = counters.get(f"{direction}_errors", 0), counters.get(f"{direction}_dropped", 0)
        yield f"kernel {direction}", f"{packets} packets, {size} bytes; {errors} errors, {dropped} dropped"
