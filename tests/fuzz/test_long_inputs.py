"""Inputs that are too long for a corpus, and with which a search has found a defect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.parsers import answer
from vnetcard.agent import config
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ring.layout import HOST


@pytest.mark.parametrize("text", ["mtu = " + "9" * 5000, "a = " + "[" * 5000], ids=["long number", "deep nesting"])
def test_configuration_file_with_other_errors_than_those_of_tomllib(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(HOST, ["--config", str(path)])


def test_answer_that_is_nested_too_deep() -> None:
    with pytest.raises(PeerGone):
        answer(b"[" * 100_000 + b"\n")
