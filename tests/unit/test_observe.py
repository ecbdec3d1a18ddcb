"""show, top, metrics and report from given answers, without an agent."""

from __future__ import annotations

import copy
from typing import Any
from xml.etree import ElementTree

import pytest

from vnetcard.agent.history import KEPT, History
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.drop import DropCode
from vnetcard.codes.link import LinkReason
from vnetcard.engine.register_text import decode
from vnetcard.engine.registers import REGISTERS, STATUS_BITS
from vnetcard.observe import metrics, tables
from vnetcard.observe.cause import Cause
from vnetcard.observe.causes import causes
from vnetcard.observe.screen import HEIGHT, KEYS, WIDTH, Screen
from vnetcard.observe.views import SECTIONS, Snapshot
from vnetcard.report import checks, page, plots
from vnetcard.ring import layout as L
from vnetcard.ring.counters import EndCounters
from vnetcard.ring.derived import derived, since

NOW = 1_800_000_000.0


def counters(pump: str) -> dict[str, int]:
    """Every counter of a pump, all 0."""
    ledger, stats = (L.TX_LEDGER, L.TX_STATS) if pump == "tx" else (L.RX_LEDGER, L.RX_STATS)
    words = ledger[len(L.LEDGER_COMMON) :]
    end = EndCounters(pump == "tx", dict.fromkeys(words, 0), dict.fromkeys(stats, 0), dict.fromkeys(L.BATCHES, 0))
    return end.flat()


def ring(direction: str) -> dict[str, Any]:
    return {
        "queue": 0,
        "direction": direction,
        "offset": 4096,
        "size": 1 << 21,
        "prod": 0,
        "cons": 0,
        "fill": 0,
        "records": 0,
        "producer_sleeps": False,
        "consumer_sleeps": True,
        "problem": "",
        "cons_moved_at": None,
    }


def view(side: int) -> dict[str, Any]:
    """An agent's answer about a link at rest."""
    name = L.SIDES[side]
    return {
        "program": "x",
        "side": name,
        "pid": 1,
        "port": {"url": "tun:tun0", "name": "tun0", "netns": None, "addresses": ["10.10.10.1/24"]},
        "window": {"url": "shm:w", "geometry": "8 MiB", "doorbell": True},
        "engine": None,
        "balance": [],
        "at": NOW,
        "mtu": 1500,
        "peer_mtu": 1500,
        "link": {
            "state": "run",
            "up": True,
            "reason": "both sides have answered",
            "reason_code": "up",
            "fault_code": "",
            "since": 10.0,
            "mtu": 1500,
            "features": {},
            "history": [{"at": NOW - 10, "state": "run", "reason": "both sides have answered", "fault_code": ""}],
        },
        "rings": [ring(direction) for direction in L.DIRECTIONS],
        "registers": [],
        "sides": {name: {"tx": counters("tx"), "rx": counters("rx"), "link": dict.fromkeys(L.LINK_COUNTERS, 0)}},
        "notes": {},
        "cleared": {},
    }


@pytest.fixture
def answers() -> list[dict[str, Any]]:
    return [view(L.HOST), view(L.CARD)]


# --- figures -----------------------------------------------------------------------------------------


def test_growth_since_a_baseline_leaves_gauges_unchanged() -> None:
    now = {"tx_sent": 10, "rx_high_water": 64, "new": 3}
    assert since(now, {"tx_sent": 4, "rx_high_water": 32}) == {"tx_sent": 6, "rx_high_water": 64, "new": 3}


def test_derived_figures_of_a_pump_without_counters_are_0() -> None:
    assert derived("tx", {}) == {"tx_calls": 0, "tx_records_a_call": 0, "tx_ns_a_record": 0}


def test_calls_and_averages_follow_from_batches() -> None:
    figures = {"rx_received": 30, "rx_busy_ns": 3000, "rx_batch_1": 4, "rx_batch_16": 1}
    assert derived("rx", figures) == {"rx_calls": 5, "rx_records_a_call": 6, "rx_ns_a_record": 100}


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


# --- causes ------------------------------------------------------------------------------------------


def test_a_link_at_rest_has_no_cause(answers: list[dict[str, Any]]) -> None:
    assert causes(Snapshot(answers)) == []
    assert causes(Snapshot([])) == []


def test_occasionally_full_ring_is_no_cause(answers: list[dict[str, Any]]) -> None:
    tx = answers[0]["sides"]["host"]["tx"]
    tx |= {"tx_sent": 1000, "tx_ring_full": 10}
    assert causes(Snapshot(answers)) == []
    tx["tx_ring_full"] = 100
    assert [cause.code for cause in causes(Snapshot(answers))] == ["slow-consumer"]


def test_records_that_are_not_consumed_are_a_cause_only_after_a_while(answers: list[dict[str, Any]]) -> None:
    h2c = answers[0]["rings"][0]
    h2c |= {"records": 3, "fill": 192, "cons_moved_at": NOW - 0.2}
    assert causes(Snapshot(answers)) == []
    h2c["cons_moved_at"] = NOW - 5
    assert [cause.code for cause in causes(Snapshot(answers))] == ["stuck-consumer"]
    answers[0]["link"]["since"] = 0.5
    assert causes(Snapshot(answers)) == [], "the link has only just come up"


@pytest.fixture
def two_queues(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Queue 1 has sent 5 records, queue 0 2."""
    for view in answers:
        view["rings"] += [ring(direction) | {"queue": 1} for direction in L.DIRECTIONS]
        (side,) = view["sides"].values()
        for pump in ("tx", "rx"):
            side |= {f"{pump} queue {n}": counters(pump) for n in range(2)}
        side["tx queue 0"]["tx_sent"], side["tx queue 1"]["tx_sent"], side["tx"]["tx_sent"] = 2, 5, 7
    return answers


def test_sums_over_queues_keep_the_names_and_single_queues_have_others(two_queues: list[dict[str, Any]]) -> None:
    found = {(one.name, one.labels): one.value for one in metrics.metrics(Snapshot(two_queues), "shm:w")}
    host = [(dict(labels), value) for (name, labels), value in found.items() if name == "vnetcard_queue_tx_sent"]
    assert [value for labels, value in host if labels["side"] == "host"] == [2, 5]
    assert {labels["queue"] for labels, _ in host} == {"0", "1"}
    sums = [(dict(labels), value) for (name, labels), value in found.items() if name == "vnetcard_tx_sent"]
    assert [value for labels, value in sums if labels["side"] == "host"] == [7]
    assert all("queue" not in labels for labels, _ in sums)
    shown = "\n".join(tables.runtime(Snapshot(two_queues)))
    assert [shown.count(f"tx pump, {which} ") for which in ("all queues", "queue 0", "queue 1")] == [1, 1, 1]
    assert shown.index("all queues") < shown.index("queue 0") < shown.index("queue 1")


def test_ring_that_is_stuck_is_named_with_its_queue(two_queues: list[dict[str, Any]]) -> None:
    two_queues[0]["rings"][2] |= {"records": 3, "fill": 192, "cons_moved_at": NOW - 5}
    (cause,) = causes(Snapshot(two_queues))
    assert cause.code == "stuck-consumer" and cause.words.startswith("h2c queue 1 holds 3 records")


def test_agent_without_queue_numbers_has_queue_0(answers: list[dict[str, Any]]) -> None:
    for view in answers:
        for one in view["rings"]:
            del one["queue"]
    assert Snapshot(answers).queues == 1
    assert tables.ring(Snapshot(answers))[0].startswith("h2c  [")


@pytest.mark.parametrize("code", DropCode)
def test_every_drop_alone_is_explained_by_one_of_its_causes(answers: list[dict[str, Any]], code: DropCode) -> None:
    for name, parts in ((view["side"], view["sides"][view["side"]]) for view in answers):
        part = next(part for part in ("tx", "rx", "link") if code.value in parts[part])
        parts[part][code.value] = 5
        found = causes(Snapshot(answers))
        assert found and found[0].code in code.causes, (name, found)
        parts[part][code.value] = 0
    assert causes(Snapshot(answers)) == []


def test_every_counter_of_drops_losses_and_violations_has_a_code() -> None:
    named = (*L.TX_LEDGER, *L.RX_LEDGER, *L.TX_STATS, *L.RX_STATS, *L.LINK_COUNTERS)
    counted = {name for name in named if name.startswith(("drop_", "lost_", "viol_"))}
    assert counted == {code.value for code in DropCode}


def test_cause_of_packets_above_the_link_mtu_names_interface_and_mtu(answers: list[dict[str, Any]]) -> None:
    answers[1]["sides"]["card"]["tx"]["drop_too_big"] = 5
    (cause,) = causes(Snapshot(answers))
    assert (cause.code, cause.side) == (CauseCode.PACKET_TOO_BIG, "card")
    assert "`ip link set tun0 mtu 1500`" in cause.words


def test_interruption_is_no_cause_when_another_one_explains_it(answers: list[dict[str, Any]]) -> None:
    tx = answers[0]["sides"]["host"]["tx"]
    tx |= {"drop_link_down": 3, "lost_restart": 1}
    assert [cause.code for cause in causes(Snapshot(answers))] == [CauseCode.LINK_INTERRUPTED]
    answers[1]["sides"]["card"]["link"]["peer_restart"] = 1
    assert [cause.code for cause in causes(Snapshot(answers))] == [CauseCode.PEER_RESTARTS]


def test_causes_are_metrics_and_json_with_their_code(answers: list[dict[str, Any]]) -> None:
    answers[0]["sides"]["host"]["rx"]["drop_port_down"] = 2
    labels = [dict(one.labels) for one in metrics.metrics(Snapshot(answers), "shm:w") if one.name == "vnetcard_cause"]
    assert labels == [{"side": "host", "code": "interface-down", "window": "shm:w"}]
    (cause,) = tables.as_json(Snapshot(answers), "errors")["errors"]["causes"]
    assert (cause["code"], cause["name"], cause["side"]) == ("interface-down", "interface-down", "host")


def test_link_without_errors_says_only_what_the_agents_know(answers: list[dict[str, Any]]) -> None:
    unknown = [f"{side}: what its kernel discards is not known here" for side in L.SIDES]
    assert tables.errors(Snapshot(answers)) == [tables.NO_ERRORS, "", *unknown]
    assert tables.NO_ERRORS.startswith("lost inside the link: 0")


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


# --- what the kernels discard --------------------------------------------------------------------------


def kernel(counts: dict[str, int], *, misrouted: tuple[str, ...] = (), sockets: dict[str, int] | None = None) -> Any:
    """What an agent says of its kernel; ``misrouted`` are codes, with an example of IPv4 each."""
    words = {"source": "10.9.0.1", "destination": "10.10.10.9", "words": "why", "fix": "`ip route add`", "at": NOW}
    return {
        "since": NOW - 10,
        "problem": "",
        "counters": {code.value: counts.get(code, 0) for code in DiscardCode},
        "misrouted": [{**words, "code": code} for code in misrouted],
        "sockets": [{"address": address, "port": 5201, "drops": n} for address, n in (sockets or {}).items()],
    }


ADDRESS, RCVBUF = "kernel_ip_in_addr_errors", "kernel_udp_rcvbuf_errors"


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (kernel({}), []),
        (kernel({ADDRESS: 5}), []),  # of another interface, as far as is known
        (kernel({}, misrouted=("foreign-address",)), []),
        (kernel({ADDRESS: 5}, misrouted=("foreign-address",)), ["foreign-address"]),
        (kernel({ADDRESS: 5}, misrouted=("not-forwarding",)), ["not-forwarding"]),
        (kernel({"kernel_ip6_in_addr_errors": 5}, misrouted=("foreign-address",)), []),  # the example is of IPv4
        (kernel({ADDRESS: 5}, misrouted=("reverse-path-filter",)), []),
        (kernel({RCVBUF: 5}), ["application-too-slow"]),
        (kernel({RCVBUF: 5}, sockets={"10.10.10.1": 3}), ["application-too-slow"]),
        (kernel({RCVBUF: 5}, sockets={"0.0.0.0": 5}), ["application-too-slow"]),
        (kernel({RCVBUF: 5}, sockets={"10.99.0.1": 4}), ["application-too-slow"]),
        (kernel({RCVBUF: 5}, sockets={"10.99.0.1": 5}), []),
        (kernel({"kernel_tcp_listen_drops": 1}), ["application-too-slow"]),
        (kernel({"kernel_tx_dropped": 1, RCVBUF: 2}), ["application-too-slow", "interface-queue-full"]),
        (kernel({"kernel_tx_qdisc_dropped": 1}), ["interface-queue-full"]),
        (kernel({"kernel_udp_no_ports": 1}), []),
    ],
)
def test_cause_beside_the_link_needs_a_count_and_evidence(
    answers: list[dict[str, Any]], what: Any, found: list[str]
) -> None:
    answers[0]["port"]["kernel"] = what
    assert [cause.code.value for cause in causes(Snapshot(answers))] == found


def test_clear_forgets_counts_and_evidence_of_the_kernel(answers: list[dict[str, Any]]) -> None:
    answers[0]["port"]["kernel"] = kernel({ADDRESS: 5}, misrouted=("foreign-address",))
    answers[0]["cleared"]["errors"] = {"at": NOW + 1, "figures": {"kernel": {ADDRESS: 2}}}
    snapshot = Snapshot(answers)
    assert [(row.code, row.count) for row in snapshot.discards()] == [(ADDRESS, 3)]
    assert [row.count for row in snapshot.discards(None)] == [5]
    assert causes(snapshot) == []
    found = {one.sample: one for one in metrics.metrics(snapshot, "shm:w")}
    assert found[f"vnetcard_{ADDRESS}_total"].value == 5
    assert ("scope", "namespace") in found[f"vnetcard_{ADDRESS}_total"].labels
    assert ("scope", "interface") in found["vnetcard_kernel_tx_dropped_total"].labels


def test_kernel_of_each_side_is_shown_or_said_to_be_unknown(answers: list[dict[str, Any]]) -> None:
    host = answers[0]["port"]
    host["kernel"] = kernel({})
    lines = tables.errors(Snapshot(answers[:1]))
    assert lines[2:] == [
        "host: discarded by the kernel on tun0 and in its namespace: 0",
        "card: what its kernel discards is not known here",
    ]
    host["kernel"] = kernel({}) | {"problem": "the kernel's counters cannot be read: No such device"}
    assert "host: the kernel's counters cannot be read: No such device" in tables.errors(Snapshot(answers))
    host["kernel"] = kernel({"kernel_tx_dropped": 79971, RCVBUF: 68781})
    lines = tables.errors(Snapshot(answers))
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:3] == ["host", "kernel_tx_dropped", "79971"] for line in lines)


def test_top_shows_both_kernels_of_a_direction(answers: list[dict[str, Any]]) -> None:
    answers[0]["port"]["kernel"] = kernel({"kernel_tx_dropped": 79971, RCVBUF: 3, "kernel_icmp_unreachable": 9})
    answers[1]["port"]["kernel"] = kernel({RCVBUF: 68781, "kernel_ip_out_no_routes": 4})
    screen = Screen("shm:w", 1.0)
    screen.add(Snapshot(answers))
    (line,) = [line for line in screen.draw() if "drops" in line]
    assert line.split() == ["drops", "0,", "kernels", "79971+68781", "drops", "0,", "kernels", "4+3"]


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
