"""An interface on a system that lacks what is needed to configure it."""

from __future__ import annotations

import sys

import pytest

from vnetcard.errors import PortUnavailable
from vnetcard.port.interface import Interface


@pytest.mark.parametrize("lacks", ["pyroute2", "sqlite3"])
def test_missing_library_is_named_with_what_it_needs(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pyroute2", lacks)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacks, None)
    with pytest.raises(PortUnavailable, match=rf"pyroute2 cannot be loaded.*{lacks}.*install it"):
        Interface("none0")
