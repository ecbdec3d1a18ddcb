"""Causes concluded from given answers, without an agent: the most probable one first, and none without evidence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.status_answers import NOW, counters, ring
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.drop import DropCode
from vnetcard.observe import metrics, tables
from vnetcard.observe.causes import causes
from vnetcard.observe.screen import Screen
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L

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


def test_program_that_is_absent_or_slow_is_no_fault_of_the_interface(answers: list[dict[str, Any]]) -> None:
    punt = {"path": "/run/p", "program": False, "punted": 1, "dropped": 5, "returned": 1, "return_refused": 0}
    answers[0]["port"]["details"] = {"device": None, "punt": punt}
    rx = answers[0]["sides"]["host"]["rx"]
    rx["drop_port_down"] = 5
    (cause,) = causes(Snapshot(answers))
    assert (cause.code, cause.side) == (CauseCode.PUNT_DROPPED, "host")
    assert "5 packets for the program at /run/p" in cause.words and "not connected" in cause.words
    found = {one.name: one.value for one in metrics.metrics(Snapshot(answers), "shm:w") if "_punt_" in one.name}
    assert found == {
        f"vnetcard_punt_{name}": punt[name] for name in ("punted", "dropped", "returned", "return_refused")
    }
    rx["drop_port_refused"], punt["program"] = 3, True
    assert [one.code for one in causes(Snapshot(answers))] == [
        CauseCode.PUNT_DROPPED,
        CauseCode.PORT_REFUSED,
        CauseCode.INTERFACE_DOWN,
    ]


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
    host["kernel"] = kernel({}) | {"since": None}
    assert "host: what its kernel discards is counted from when the link comes up" in tables.errors(Snapshot(answers))
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
