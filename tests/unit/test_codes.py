"""Codes are unique, complete and described; the page that lists them is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vnetcard.codes import table
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.code import Code
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.drop import DropCode
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason

KINDS: tuple[type[Code], ...] = (ErrorCode, LinkReason, CauseCode, DropCode, DiscardCode)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_of_a_kind_are_unique_and_keep_one_form(kind: type[Code]) -> None:
    values = [code.value for code in kind]
    assert len(set(values)) == len(kind.__members__) == len(values)
    counters = kind in (DropCode, DiscardCode)
    form = r"[a-z]+(_[a-z0-9]+)+" if counters else r"[a-z]+(-[a-z0-9]+)*"
    assert [value for value in values if not re.fullmatch(form, value)] == []


@pytest.mark.parametrize("code", [code for kind in KINDS for code in kind])
def test_meaning_and_remedy_are_sentences(code: Code) -> None:
    assert re.fullmatch(r"[A-Z/].*\.", code.meaning)
    assert not code.remedy or re.fullmatch(r"[A-Z/`].*\.", code.remedy)


def test_every_drop_has_a_cause_and_a_remedy() -> None:
    assert all(code.causes and code.remedy for code in DropCode)


def test_every_cause_beside_the_link_has_a_counter_of_the_kernel() -> None:
    assert all(code.remedy and code.source for code in DiscardCode)
    assert {cause for code in DiscardCode for cause in code.causes} == {
        CauseCode.FOREIGN_ADDRESS,
        CauseCode.NOT_FORWARDING,
        CauseCode.REVERSE_PATH_FILTER,
        CauseCode.NO_ROUTE_BACK,
        CauseCode.NEIGHBOUR_FAILED,
        CauseCode.APPLICATION_TOO_SLOW,
        CauseCode.INTERFACE_QUEUE_FULL,
    }


def test_page_lists_every_code_with_its_remedy() -> None:
    page = " ".join(table.page().split())
    for code in (code for kind in KINDS for code in kind):
        assert f"- `{code}`: {code.meaning}" in page
        assert code.remedy in page


def test_page_keeps_the_line_limit() -> None:
    assert max(map(len, table.page().splitlines())) <= 120


def test_stale_page_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "PAGE", tmp_path / "codes.md")
    assert table.main(["--check"]) == 1
    assert "python -m vnetcard.codes.table" in capsys.readouterr().err
    assert table.main([]) == table.main(["--check"]) == 0


def test_page_is_up_to_date() -> None:
    assert table.PAGE.read_text() == table.page(), "run `python -m vnetcard.codes.table`"
