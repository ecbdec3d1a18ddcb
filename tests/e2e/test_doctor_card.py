"""The doctor on a card: a real kernel's sysfs, a real BAR, and an agent that has it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from vnetcard import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import CardLab

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]


def doctor(lab: CardLab, status: int, *options: str) -> dict[str, Any]:
    """What the guest's doctor says of its BAR."""
    done = lab.running_guest().run("vnetcard", "doctor", "--window", "pci:auto", "--json", *options, limit=120)
    assert done.status == status, done
    view: dict[str, Any] = json.loads(done.stdout)
    return view


def details(view: dict[str, Any], area: str) -> dict[str, str]:
    """Subject to detail, with the verdict before it."""
    return {one["subject"]: f"{one['verdict']}: {one['detail']}" for one in view["findings"] if one["area"] == area}


def test_card_is_found_judged_and_measured_and_left_alone_while_it_is_in_use(image: Image) -> None:
    with CardLab(image, "doctor", log=sys.stderr) as lab:
        lab.boot()
        view = doctor(lab, 0, "--no-measure")
        seen = details(view, "pci")
        (card,) = [name for name, words in seen.items() if "1af4:1110 QEMU's ivshmem" in words]
        assert seen[f"{card} driver"] == "ok: none: pci: may use it"
        assert seen[f"{card} mapping"].startswith("ok: BAR2 8 MiB 64-bit prefetchable by resource2_wc")
        assert seen[f"{card} decoding"].startswith("warn: memory decoding is disabled")
        lab.lab.start(L.HOST)
        view = doctor(lab, 0)
        assert details(view, "window") == {"pci:auto": "ok: 8 MiB window, 1 queue pair, rings of 2 MiB"}
        figures = {row["name"]: row for row in view["stages"]}
        assert all(figures[f"window {way}"]["large_gbit"] > 0 for way in ("read", "write"))
        lab.start_card()
        lab.wait_up()
        epochs = [side["epoch"] for side in lab.lab.status(L.HOST)["sides"]]
        view = doctor(lab, 0, "--no-measure")
        assert "in use by vnetcard-fpga" in details(view, "window")["pci:auto"]
        assert [side["epoch"] for side in lab.lab.status(L.HOST)["sides"]] == epochs
