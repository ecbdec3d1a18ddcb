"""The view of an agent that exists and does not answer (stopped, or hung), as its window alone gives it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final

from vnetcard._core import Memory
from vnetcard.agent.collect import figures
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.ring.sideblock import SideBlock
from vnetcard.ring.window_dump import aligned, view_rings
from vnetcard.window import read_window, seen_side, url_of_side

CODE: Final = ErrorCode.PEER_UNRESPONSIVE.value
STATE: Final = "unresponsive"
"""The link state of an agent that does not answer: only the agent knows the real one."""


def view(url: str, side: int, why: str) -> dict[str, Any]:
    """As ``agent.collect.collect``, as far as a copy of the window has it; ``why`` is the reason of the link."""
    found: dict[str, Any] = {
        "side": L.SIDES[side],
        "pid": None,
        "port": {"url": "", "name": "not known", "netns": None, "addresses": []},
        "window": {"url": url, "geometry": "not known"},
        "engine": None,
        "at": time.time(),
        "mtu": 0,
        "link": {"state": STATE, "up": False, "reason": why, "reason_code": CODE, "fault_code": "", "history": []},
        "rings": [],
        "registers": [],
        "sides": {},
        "notes": {},
        "cleared": {},
    }
    try:
        return found | _from_window(url, side)
    except VnetcardError as error:
        found["link"]["reason"] = f"{why}; its window cannot be read either: {error}"
        return found


def _from_window(url: str, side: int) -> dict[str, Any]:
    place = url_of_side(url, side)
    copy = read_window(place)
    geometry = Geometry.decode(copy[:HEADER_BYTES], len(copy), c2h_beside=None)
    memory = Memory(aligned(copy))
    alone = seen_side(place)
    return {
        "pid": SideBlock(memory, side).identity().pid,
        "window": {"url": url, "geometry": geometry.describe()},
        "rings": [{**asdict(ring), "cons_moved_at": None} for ring in view_rings(memory, geometry)],
        "sides": {
            L.SIDES[one]: figures(memory, geometry, one) for one in ((L.HOST, L.CARD) if alone is None else (alone,))
        },
    }
