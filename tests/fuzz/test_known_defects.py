"""Defects that fuzzing has found and that are not mended yet: each test is expected to fail until its defect is.

Then remove the test here, and the error from ``known`` of the parser.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.parsers import answer
from vnetcard.agent import config
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ring.layout import HOST


@pytest.mark.parametrize("text", ["mtu = " + "9" * 5000, "a = " + "[" * 5000], ids=["long number", "deep nesting"])
@pytest.mark.xfail(raises=(ValueError, RecursionError), strict=True)
def test_configuration_file_with_an_undocumented_error_of_tomllib(tmp_path: Path, text: str) -> None:
    """tomllib lets ValueError of int() and RecursionError out; agent/config.py expects only its own error."""
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(HOST, ["--config", str(path)])


@pytest.mark.xfail(raises=RecursionError, strict=True)
def test_answer_that_is_nested_too_deep() -> None:
    """The client of the control socket, agent/control.py, expects ValueError alone from json.loads()."""
    with pytest.raises(PeerGone):
        answer(b"[" * 100_000 + b"\n")
