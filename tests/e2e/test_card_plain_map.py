"""The BAR by ``resource2``, which ARM64 maps as device memory, where there is no write-combining map."""

from __future__ import annotations

import pytest

from tests.e2e.card_pings import assert_pings_cross
from tests.harness.ledger import assert_ledgers_balance
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.lab import AGENT, CARD_LIMIT, CardLab

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow, pytest.mark.campaign]

TREE = """
for device in /sys/bus/pci/devices/*; do
    copy=/tmp/root$device
    mkdir -p $copy
    for file in $device/*; do
        case $file in *_wc) ;; *) ln -s $file $copy ;; esac
    done
done
"""
"""A tree that looks like the guest's sysfs but for the maps that combine writes."""


def test_every_ping_crosses_a_map_that_does_not_combine_writes(image: Image) -> None:
    with CardLab(image, "e2e-plain") as lab:
        lab.lab.start(L.HOST)
        guest = lab.boot()
        assert guest.run("sh", "-c", TREE).status == 0
        lab.agent = guest.start("env", "VNETCARD_SYSROOT=/tmp/root", AGENT, "--window", "pci:auto")
        guest.wait_for_output(lab.agent, " ready: ", limit=CARD_LIMIT)
        lab.wait_up()
        maps = guest.run("sh", "-c", "cat /proc/[0-9]*/maps").stdout
        assert "/resource2\n" in maps
        assert "/resource2_wc" not in maps
        assert_pings_cross(lab)
        assert_ledgers_balance(lab.lab)
