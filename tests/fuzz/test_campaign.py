"""Searches of a minute each for inputs that a harness or a parser mishandles, each time from a new seed.

``make fuzz`` runs them.  FUZZ_SECONDS changes the length, VNETCARD_SEED repeats the choices.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz import build, campaign, corpora
from tests.fuzz.parsers import PARSERS
from tests.fuzz.search import search
from tests.unit.c_build import seed

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240 + 2 * SECONDS)]


@pytest.mark.parametrize("harness", build.HARNESSES)
def test_core_survives_the_search(tmp_path: Path, harness: str) -> None:
    program = build.fuzzer(tmp_path, harness)
    corpora.unpack(corpora.load(harness), tmp_path / "corpus")
    campaign.search(program, tmp_path / "corpus", SECONDS, seed())


@pytest.mark.parametrize("name", PARSERS)
def test_parser_survives_the_search(name: str) -> None:
    tried, found = search(name, seed(), seconds=SECONDS)
    print(f"{name}: {tried} inputs, {len(found)} reached something new")
