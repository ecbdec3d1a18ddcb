"""An ARM64 system made of Debian's packages, and its Python under qemu-user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import need, skip_or_fail

from vnetcard.errors import ConfigError
from vnetcard.sim.guest.packages import Sysroot, sysroot

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def build_cache() -> Iterator[None]:
    """In the checkout instead of the user's home; kept from run to run, as a user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(ROOT / ".cache"))
        yield


@pytest.fixture(scope="session")
def arm64(build_cache: None) -> Sysroot:
    """The ARM64 system; fetched once."""
    need("aarch64-linux-gnu-gcc")
    try:
        return sysroot(sys.stderr.write)
    except ConfigError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def arm64_python(arm64: Sysroot) -> list[str]:
    """How its Python is run on this machine."""
    return [need("qemu-aarch64-static"), "-L", str(arm64.root), f"{arm64.root}/usr/bin/python{arm64.python}"]
