"""show, top, metrics and report from given answers, without an agent."""

from __future__ import annotations

import copy
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.unit.status_answers import NOW, view
from vnetcard.agent.history import KEPT, History
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.link import LinkReason
from vnetcard.engine.register_text import decode
from vnetcard.engine.registers import REGISTERS, STATUS_BITS
from vnetcard.observe import metrics, tables
from vnetcard.observe.cause import Cause
from vnetcard.observe.screen import HEIGHT, KEYS, WIDTH, Screen
from vnetcard.observe.views import SECTIONS, Snapshot
from vnetcard.report import checks, page, plots
from vnetcard.ring import layout as L
from vnetcard.ring.derived import derived, since

# --- figures -----------------------------------------------------------------------------------------


def test_growth_since_a_baseline_leaves_gauges_unchanged() -> None:
    now = {"tx_sent": 10, "rx_high_water": 64, "new": 3}
    assert since(now, {"tx_sent": 4, "rx_high_water": 32}) == {"tx_sent": 6, "rx_high_water": 64, "new": 3}


def test_derived_figures_of_a_pump_without_counters_are_0() -> None:
    assert derived("tx", {}) == {"tx_calls": 0, "tx_records_per_call": 0, "tx_ns_per_record": 0}


def test_calls_and_averages_follow_from_batches() -> None:
    figures = {"rx_received": 30, "rx_busy_ns": 3000, "rx_batch_1": 4, "rx_batch_16": 1}
    assert derived("rx", figures) == {"rx_calls": 5, "rx_records_per_call": 6, "rx_ns_per_record": 100}


def test_counters_of_a_side_come_from_its_own_agent_or_else_from_its_peers(answers: list[dict[str, Any]]) -> None:
    host, card = answers
    host["sides"]["card"] = copy.deepcopy(card["sides"]["card"])
    host["sides"]["card"]["tx"]["tx_sent"] = 7
    assert Snapshot([host]).figures()["card"]["tx"]["tx_sent"] == 7
    assert Snapshot(answers).figures()["card"]["tx"]["tx_sent"] == 0


def test_clear_restarts_error_counts_and_leaves_metrics_unchanged(answers: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(answers[0]["sides"]["host"])
    answers[0]["sides"]["host"]["tx"]["drop_too_big"] = 9
    before["tx"]["drop_too_big"] = 4
    answers[0]["cleared"]["errors"] = {"at": NOW, "figures": before}
    snapshot = Snapshot(answers)
    assert [(error.name, error.count) for error in snapshot.errors()] == [("drop_too_big", 5)]
    assert snapshot.figures("runtime")["host"]["tx"]["drop_too_big"] == 9
    found = {
        (one.name, dict(one.labels)["side"]): one
        for one in metrics.metrics(snapshot, "shm:w")
        if "side" in dict(one.labels)
    }
    assert found["vnetcard_drop_too_big", "host"].value == 9
    assert found["vnetcard_drop_too_big", "host"].sample == "vnetcard_drop_too_big_total"


def test_absent_agent_is_a_metric_of_0() -> None:
    assert {one.name: one.value for one in metrics.metrics(Snapshot([]), "shm:w")} == {"vnetcard_agent_up": 0}


# --- history and samples -----------------------------------------------------------------------------


def test_history_keeps_the_last_changes_and_when_a_counter_moved() -> None:
    times = iter(range(10_000))
    history = History(clock=lambda: float(next(times)))
    for n in range(KEPT + 5):
        history.changed("run", str(n), LinkReason.UP)
        history.changed("run", str(n), LinkReason.UP)  # idempotent
    assert [change.reason for change in history.changes()] == [str(n) for n in range(5, KEPT + 5)]
    history.sample({"a": 5, "b": 1})
    assert history.moved() == {}, "the first values are no movement"
    history.sample({"a": 6, "b": 1})
    assert set(history.moved()) == {"a"}


def test_registers_are_decoded_by_name() -> None:
    values = {register.name: 0 for register in REGISTERS if register.access != "WO"}
    values |= {"status": STATUS_BITS["TX_RUN"] | STATUS_BITS["LOCKED"], "tx_cause": 8, "caps": 64 | 15 << 16 | 1 << 24}
    rows = {row["name"]: row["words"] for row in decode(values)}
    assert rows["status"] == "TX_RUN LOCKED"
    assert rows["tx_cause"] == "TIMEOUT"
    assert rows["caps"] == "64 bit, bursts of 16 beats, card"
    assert "reset" not in rows


def test_a_long_sample_has_a_line_of_its_own(answers: list[dict[str, Any]]) -> None:
    answers[0]["sides"]["host"]["tx"]["drop_too_big"] = 1
    sample = "ICMPv6 [fe80::fa3a:c636:d50a:65a3] > [ff02::2], 48 bytes"
    answers[0]["notes"]["drop_too_big"] = {"at": NOW, "sample": sample}
    lines = tables.errors(Snapshot(answers))
    assert f"      {sample}" in lines
    assert max(map(len, lines)) <= 80


def test_report_names_what_failed_by_code_in_json_and_junit() -> None:
    report = checks.Report("shm:w", NOW, {"machine": "m"}, views=[view(L.HOST) | {"link": {**view(L.HOST)["link"]}}])
    report.views[0]["link"] |= {"up": False, "state": "waiting", "reason_code": "no-peer"}
    report.errors = {"host drop_port_down": 3}
    report.causes = [Cause(CauseCode.INTERFACE_DOWN, "host", "down"), Cause(CauseCode.SLOW_CONSUMER, "card", "slow")]
    found = {check.name: (check.ok, check.codes) for check in report.checks}
    assert found["link"] == (False, ("no-peer",))
    assert found["counters"] == (False, ("drop_port_down",))
    assert found["causes"] == (False, ("interface-down",)), "a limit is named and fails nothing"
    failures = ElementTree.fromstring(page.junit(report).partition("\n")[2]).iter("failure")
    assert {"no-peer", "drop_port_down", "interface-down"} <= {one.get("type") for one in failures}
    assert [one["code"] for one in checks.as_json(report)["causes"]] == ["interface-down", "slow-consumer"]


# --- text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", SECTIONS)
def test_every_section_fits_80_columns_even_without_an_agent(answers: list[dict[str, Any]], what: str) -> None:
    lines = tables.SECTIONS[what](Snapshot(answers))
    assert lines
    assert max(map(len, lines)) <= 80
    tables.SECTIONS[what](Snapshot([]))
    assert what in tables.as_json(Snapshot(answers), what)


def test_screen_is_24_lines_of_80_columns_for_any_answers(answers: list[dict[str, Any]]) -> None:
    screen = Screen("shm:" + "w" * 100, 1.0)
    assert [len(screen.draw()), screen.draw()[-1]] == [HEIGHT, KEYS]
    screen.add(Snapshot(answers))
    later = copy.deepcopy(answers)
    for one in later:
        one["at"] += 2
        one["link"]["reason"] = "r" * 300
        one["link"]["history"] *= 100
    later[0]["sides"]["host"]["tx"] |= {"tx_sent": 2000, "tx_sent_bytes": 3_000_000, "drop_too_big": 5}
    later[0]["sides"]["host"]["link"] |= dict.fromkeys(L.LINK_COUNTERS, 10**12)
    screen.add(Snapshot(later))
    lines = screen.draw()
    assert (len(lines), max(map(len, lines)), lines[-1]) == (HEIGHT, WIDTH, KEYS)
    assert "12 Mbit/s" in "\n".join(lines)
    assert "1 k/s in" in "\n".join(lines)


def test_empty_plot_says_so_and_single_point_is_drawn() -> None:
    assert "nothing was measured" in plots.lines("T", {"a": []}, x="x", y="y")
    drawn = plots.lines("T <", {"a": [(56, 0.0)]}, x="x", y="y")
    assert drawn.startswith("<svg") and "T &lt;" in drawn
    assert plots.bars("T", {"a": 0.0}, unit="us").count("<rect") == 1
