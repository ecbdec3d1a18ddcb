"""The guests' images, each made once per session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.harness.build_cache import build_cache  # noqa: F401 - for this folder
from tests.harness.needs import need, skip_or_fail
from vnetcard.errors import ConfigError
from vnetcard.sim.guest import vfio_user_qemu
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.image import image as make_image
from vnetcard.sim.guest.machines import ARM64, X86_64

BUILT = {
    "VNETCARD_XDMA_KO": "test_stock_xdma.py",
    "VNETCARD_UDMABUF_KO": "test_stock_udmabuf.py",
    "VNETCARD_IOMMUFD_KERNEL": "test_card_iommufd.py",
}
collect_ignore = [test for variable, test in BUILT.items() if not os.environ.get(variable)]
"""Tests that need a module or kernel of another project are collected only where a variable names it."""

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def image() -> Image:
    """Kernel and RAM disk with this tree's agents, compiled for ARM64."""
    for tool in (ARM64.qemu, "aarch64-linux-gnu-gcc"):
        need(tool)
    try:
        return make_image(sys.stderr.write)
    except ConfigError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def host_image() -> Image:
    """Kernel and RAM disk with this tree's agents, compiled for x86-64."""
    need(X86_64.qemu)
    try:
        return make_image(sys.stderr.write, X86_64)
    except ConfigError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def vfio_user_program() -> str:
    """A QEMU that is a client of vfio-user."""
    try:
        return vfio_user_qemu.find(sys.stderr.write)
    except ConfigError as error:
        skip_or_fail(str(error))
