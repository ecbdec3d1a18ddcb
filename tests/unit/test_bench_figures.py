"""``vnetcard bench``: how values become figures and ratios, and when they are refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn
from xml.etree import ElementTree

import pytest

from tests.harness.needs import need
from vnetcard.bench import check, iperf, plot, proc, report, runner
from vnetcard.bench.contenders import CONTENDERS
from vnetcard.bench.contenders.agents import judge_link
from vnetcard.bench.figures import Results, Spread, kind_of
from vnetcard.bench.load import LOADS, QUICK_LOADS, rr
from vnetcard.bench.load.ping import figures, times_in
from vnetcard.bench.load.udp import arrived
from vnetcard.bench.runner import Plan
from vnetcard.bench.standalone import STANDALONE, lwip, memif, rings
from vnetcard.bench.targets import TARGETS
from vnetcard.bench.validity import Invalid, Traffic, judge_answers, judge_offload
from vnetcard.cli import bench
from vnetcard.errors import ConfigError

PLAN = Plan(["vnetcard", "splice"], ["tcp"], rounds=3, seconds=1.0, congestion=["cubic"])


def seen(**values: list[float]) -> Results:
    """Results of `tcp 1500 cubic`, in Gbit/s by contender and round."""
    results = Results()
    for contender, column in values.items():
        for number, value in enumerate(column):
            results.add(contender, "tcp", number, {"tcp 1500 cubic": value})
    return results


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert Spread.of([3.0, 9.0, 4.0]) == Spread(4.0, 3.0, 9.0, 3)


def test_a_ratio_is_taken_in_each_round() -> None:
    # Of the medians it would be 10 / 20: but in each round one machine state served both.
    results = seen(vnetcard=[10.0, 2.0, 30.0], splice=[20.0, 2.0, 30.0])
    assert results.ratio("tcp 1500 cubic", "splice") == Spread(1.0, 0.5, 1.0, 3)


def test_a_round_without_a_value_of_both_gives_no_ratio() -> None:
    results = seen(vnetcard=[10.0, 20.0], splice=[5.0])
    assert results.ratio("tcp 1500 cubic", "splice") == Spread(2.0, 2.0, 2.0, 1)
    assert results.ratio("tcp 1500 cubic", "veth") is None


def test_no_ratio_divides_by_zero() -> None:
    assert seen(vnetcard=[1.0], splice=[0.0]).ratio("tcp 1500 cubic", "splice") is None


def test_one_invalid_round_refuses_the_figures_of_all_rounds() -> None:
    results = seen(vnetcard=[10.0, 11.0], splice=[10.0, 10.0])
    results.refuse("vnetcard", "tcp", "hashes differ")
    assert results.spread("tcp 1500 cubic", "vnetcard") is None
    assert results.ratio("tcp 1500 cubic", "splice") is None
    printed = "\n".join(report.lines(PLAN, results, {}))
    assert "REFUSED  vnetcard, tcp: hashes differ" in printed
    assert "10.5" not in printed, "a figure of an invalid run was printed"
    found = report.as_json(PLAN, results, {}, label="")
    assert list(found["figures"]["tcp 1500 cubic"]["contenders"]) == ["splice"]
    assert found["refused"] == [{"contender": "vnetcard", "load": "tcp", "why": "hashes differ"}]


def test_absent_contender_is_one_line_and_no_column() -> None:
    plan = replace(PLAN, rounds=1)
    printed = list(report.lines(plan, seen(vnetcard=[1.0], splice=[1.0]), {"socat": "socat not installed"}))
    assert [line for line in printed if "socat" in line and "against" not in line] == [
        "absent   socat: socat not installed"
    ]


def test_table_of_ratios_comes_first() -> None:
    printed = list(report.lines(PLAN, seen(vnetcard=[9.0] * 3, splice=[10.0] * 3), {}))
    assert printed[0].startswith("vnetcard divided by each contender")
    assert "0.90 (0.90-0.90)" in printed[2]
    assert "short    tcp 1500 cubic against splice: at least 1: 0.9" in printed


def test_busy_machine_is_reported() -> None:
    results = seen(vnetcard=[9.0], splice=[10.0])
    results.busy = [0.05, 0.05]
    assert not any(line.startswith("BUSY") for line in report.lines(PLAN, results, {}))
    results.busy = [0.05, 0.55]
    assert any(line.startswith("BUSY     other programs took 30%") for line in report.lines(PLAN, results, {}))
    assert report.as_json(PLAN, results, {}, label="")["busy_elsewhere"] == 0.3


def test_tables_fit_into_120_columns() -> None:
    names = list(CONTENDERS)
    results = seen(**{name: [123.45, 100.0, 150.0] for name in names})
    printed = list(report.lines(replace(PLAN, contenders=names), results, {}))
    assert max(map(len, printed)) <= report.WIDTH == 120
    heads = [word for line in printed if line.startswith("figure ") for word in line.split()[1:]]
    assert heads == [*names[1:], *names], "each contender has one column in each kind of table"


def test_programs_that_take_the_machine_are_named_before_the_bench() -> None:
    busy = [proc.Program("cc1plus", 4711, 0.93)]
    assert runner.busy_lines(0.05, busy) == []
    head, line = runner.busy_lines(0.46, busy)
    assert head.startswith("BUSY     other programs take 46% of this machine")
    assert line == "BUSY      93% of a core: cc1plus (pid 4711)"


def test_program_that_spins_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "PROGRAMS_MAX", 1000)  # the machine may be busy with other things
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 40
        share, programs_seen = proc.load_elsewhere()
        while spinning.pid not in [program.pid for program in programs_seen]:
            assert time.monotonic() < deadline, programs_seen
            share, programs_seen = proc.load_elsewhere()
        assert share > 0
    finally:
        spinning.kill()
        spinning.wait()


def test_contender_that_fails_does_not_end_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> NoReturn:
        raise ConfigError("splice.c cannot be compiled")

    monkeypatch.setitem(CONTENDERS, "splice", replace(CONTENDERS["splice"], make=fail))
    monkeypatch.setattr(proc, "busy_elsewhere", lambda: 0.0)
    monkeypatch.setattr(proc, "load_elsewhere", lambda: (0.0, []))
    plan = replace(PLAN, contenders=["splice"], rounds=1)
    lines: list[str] = []
    results = runner.Runner(plan, lines.append).run()
    assert results.refused["splice", "tcp"] == "splice.c cannot be compiled"
    assert "REFUSED  splice, tcp: splice.c cannot be compiled" in list(report.lines(plan, results, {}))


def test_a_target_is_reached_at_its_limit() -> None:
    more, less = TARGETS[0], next(target for target in TARGETS if target.figure == "start")
    assert more.reached(1.0) and not more.reached(0.999)
    assert less.reached(100.0) and not less.reached(100.1)


def test_every_target_names_a_known_figure_and_contender() -> None:
    for target in TARGETS:
        assert kind_of(target.figure)
        known = {*CONTENDERS, *(name for load in STANDALONE.values() for name in load.CONTENDERS)}
        assert {target.contender, target.against} - {None} <= known


def test_quick_loads_are_loads() -> None:
    assert set(QUICK_LOADS) <= set(LOADS)


def test_picture_is_xml_with_one_bar_per_contender() -> None:
    found = report.as_json(PLAN, seen(vnetcard=[9.0], splice=[10.0]), {}, label="a & b")
    root = ElementTree.fromstring(plot.draw(json.loads(json.dumps(found))))
    bars = [element for element in root if element.tag.endswith("rect")][1:]
    assert [float(bar.attrib["width"]) for bar in bars] == [378.0, 420.0]


# --- the gate ----------------------------------------------------------------------------------------


def recorded(more: float, less: float) -> dict[str, object]:
    """Two figures with one ratio each: more is better, and less is better."""
    return {
        "tcp 1500 cubic": {
            "unit": "Gbit/s",
            "more_is_better": True,
            "contenders": {},
            "ratios": {"splice": {"median": more}},
        },
        "ping p50": {"unit": "us", "more_is_better": False, "contenders": {}, "ratios": {"splice": {"median": less}}},
    }


@pytest.mark.parametrize(
    ("more", "less", "good"),
    [(1.0, 1.0, [True, True]), (0.65, 2.4, [True, True]), (0.6, 2.6, [False, False]), (9.0, 0.1, [True, True])],
)
def test_a_ratio_may_be_a_little_worse_than_recorded(more: float, less: float, good: list[bool]) -> None:
    assert [verdict for verdict, _ in check.compare(recorded(more, less), recorded(1.0, 1.0))] == good


def test_ratio_that_was_never_recorded_is_not_judged() -> None:
    assert list(check.compare(recorded(1.0, 1.0), {})) == []


@pytest.mark.parametrize("text", ["", "[]", '{"figures": 5}', '{"figures": {"a": {"ratios": {"b": {}}}}}'])
def test_invalid_record_is_bad_input(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="no results of"):
        check.read(file)


def test_figures_that_a_run_did_not_measure_are_kept(tmp_path: Path) -> None:
    found = report.as_json(PLAN, seen(vnetcard=[9.0]), {}, label="new")
    bench.write(tmp_path, found | {"figures": recorded(1.0, 2.0)})
    bench.write(tmp_path, found)
    figures = check.read(tmp_path / "bench.json")
    assert set(figures) == {"tcp 1500 cubic", "ping p50"}
    assert figures["tcp 1500 cubic"]["label"] == "new"


# --- checks of a run ---------------------------------------------------------------------------------


def test_super_packets_confirm_the_claimed_offload() -> None:
    judge_offload(Traffic(10, 1000), Traffic(20, 601_000), mtu=1500, offload=True)
    with pytest.raises(Invalid, match="offload is claimed, but packets had 1500 bytes"):
        judge_offload(Traffic(0, 0), Traffic(10, 15_000), mtu=1500, offload=True)


def test_super_packets_without_offload_are_refused() -> None:
    judge_offload(Traffic(0, 0), Traffic(10, 15_000), mtu=1500, offload=False)
    with pytest.raises(Invalid, match="no offload is claimed"):
        judge_offload(Traffic(0, 0), Traffic(10, 600_000), mtu=1500, offload=False)


def test_load_that_took_another_path_is_refused() -> None:
    with pytest.raises(Invalid, match="another path"):
        judge_offload(Traffic(7, 700), Traffic(7, 700), mtu=1500, offload=True)


def test_two_packets_of_the_largest_mtu_do_not_fit_one_super_packet() -> None:
    judge_offload(Traffic(0, 0), Traffic(10, 640_000), mtu=65000, offload=True)


def test_pings_lost_under_load_count_as_the_longest_time() -> None:
    output = "".join(f"64 bytes from 10.10.10.5: icmp_seq={n} ttl=64 time=0.02{n} ms\n" for n in (1, 2, 3, 7))
    assert times_in(output, 4, loss_max=0.25) == [21.0, 22.0, 23.0, 23.0], "the seventh is not judged"
    with pytest.raises(Invalid, match="3 of 6 pings were lost"):
        times_in(output, 6, loss_max=0.25)


def test_datagrams_that_arrived_are_counted() -> None:
    assert arrived("600 2.000000\n") == 300.0
    for nothing in ("", "0 0.000000", "7 0.0"):
        with pytest.raises(Invalid, match="no datagram"):
            arrived(nothing)


def test_round_trips_of_requests_are_read() -> None:
    assert rr.parse("rr", "2000 20.5 40.25 90.125\n") == {"rr p50": 20.5, "rr p99": 40.25, "rr p99.9": 90.125}
    assert "rr p99.9" not in rr.parse("rr", "999 20.5 40.25 90.125\n")


def test_records_are_counted_in_number_and_bytes() -> None:
    assert rings.figures("threads", 64, "3000000 1.5\n") == {"ring 64 threads": 2.0, "ring 64 threads bytes": 0.128}
    with pytest.raises(Invalid, match="no record"):
        rings.figures("threads", 64, "0 1.5")


def test_the_ring_alone_carries_every_record() -> None:
    need("gcc")
    for contender, measure in rings.steps(0.02):
        if contender == "vnetcard":
            assert all(value > 0 for value in measure().values())


def test_rates_of_standalone_loads_are_read() -> None:
    assert lwip.rate("125000000 2.0\n") == 0.5
    assert memif.rate([1000, 3000, 2000], [4000, 4000, 7000]) == 6.0
    with pytest.raises(Invalid, match="one direction"):
        memif.rate([1000, 1000], [0, 0])
    for nothing in ("", "0 1.0", "7 0.0"):
        with pytest.raises(Invalid, match="received nothing"):
            lwip.rate(nothing)


def test_congestion_controls_are_those_of_the_kernel() -> None:
    usual = iperf.congestion_controls(None)
    assert usual and iperf.congestion_controls(",".join((*usual, usual[0]))) == usual
    for names, wrong in (("vegetable", "vegetable"), (f"{usual[0]},vegetable", "vegetable"), (",", "")):
        with pytest.raises(ConfigError, match=f"--congestion '{wrong}': the kernel has "):
            iperf.congestion_controls(names)
    found = report.as_json(PLAN, seen(vnetcard=[9.0], splice=[10.0]), {}, label="")
    assert found["congestion"] == ["cubic"] and len(found["tcp_limits"]["net.ipv4.tcp_rmem"].split()) == 3


def test_load_with_tcp_is_repeated_for_each_congestion_control(monkeypatch: pytest.MonkeyPatch) -> None:
    class Put:
        mtu = 1500

        def __init__(self, *, tcp: bool) -> None:
            self.tcp = tcp

        def put(self, _: object, run: iperf.Run) -> dict[str, float]:
            return {f"tcp 1500 {run.congestion}" if self.tcp else "ping p50": 1.0}

    monkeypatch.setattr(runner, "LOADS", {"tcp": Put(tcp=True), "ping": Put(tcp=False)})
    monkeypatch.setattr(runner, "_bring_up", lambda contender, mtu: 1.0)
    entry = SimpleNamespace(make=lambda: SimpleNamespace(check=lambda: None, close=lambda: None), loads=())
    monkeypatch.setattr(runner, "CONTENDERS", {"splice": entry})
    plan = Plan(["splice"], ["tcp", "ping"], rounds=1, seconds=1.0, congestion=["cubic", "bbr"])
    results = runner.Runner(plan, lambda _: None).run()
    assert results.figures() == ["start", "tcp 1500 cubic", "tcp 1500 bbr", "ping p50"] and not results.refused


def test_bench_waits_for_a_quiet_machine_as_long_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.5, 0.3, 0.05, 0.05])
    monkeypatch.setattr(proc, "load_elsewhere", lambda: (next(shares), []))
    said: list[str] = []
    runner.Runner(Plan([], [], rounds=1, seconds=1.0, congestion=[], wait=1000.0), said.append).run()
    assert next(shares) == 0.05 and [line.partition(":")[0] for line in said] == [
        "BUSY     other programs take 50% of this machine; figures measured beside them are worth little"
    ]


def test_standalone_loads_have_tables_of_their_own() -> None:
    results = seen(vnetcard=[9.0], splice=[10.0])
    for name, value in (("vnetcard", 800.0), ("testpmd", 1000.0)):
        results.add(name, "memif", 0, {"memif 64": value})
    absent = {"ring vnetcard": "gcc not installed"}
    printed = list(report.lines(PLAN, results, absent))
    heads = [line.split() for line in printed if line.startswith("figure ")]
    ring_ports = ["testpmd", "testpmd-x2"]
    assert [head[1:] for head in heads] == [["splice"], ["vnetcard", "splice"], ring_ports, ["vnetcard", *ring_ports]]
    assert "reached  memif 64 against testpmd: at least 0.8: 0.8" in printed
    assert "absent   ring vnetcard: gcc not installed" in printed


def test_target_of_another_contender_is_its_own_ratio() -> None:
    printed = list(report.lines(PLAN, seen(vnetcard=[9.0], veth=[10.0], packet=[7.0]), {}))
    assert "reached  tcp 1500 cubic of packet against veth: at least 0.6: 0.7" in printed
    assert "reached  tcp 1500 cubic against veth: at least 0.75: 0.9" in printed


def test_a_lost_ping_is_refused() -> None:
    output = "64 bytes from 10.10.10.5: icmp_seq=1 ttl=64 time=0.021 ms\n"
    assert times_in(output, 1) == [21.0]
    with pytest.raises(Invalid, match="1 of 2 pings were lost"):
        times_in(output, 2)
    with pytest.raises(Invalid, match="lost"):
        judge_answers(0, 0, "pings")


def test_p999_needs_a_thousand_samples() -> None:
    few, many = figures("ping", [1.0] * 999), figures("ping", [float(n) for n in range(1, 1001)])
    assert "ping p99.9" not in few
    assert many == {"ping p50": 500.0, "ping p99": 990.0, "ping p99.9": 999.0}


@pytest.mark.parametrize("text", ["", "iperf3: error", '{"start": {}, "error": "unable to connect"}'])
def test_iperf_without_a_result_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="iperf3's client"):
        iperf.parse(text, "client")


def link_view(**changed: object) -> dict[str, object]:
    """An agent's status of a good link, with changes to its link or to the counters of its only side."""
    link = {"up": True, "state": "run", "reason": "", "features": {"CSUM": "on", "TSO4": "on"}}
    counters = {"drop_link_down": 2, "drop_too_big": 0, "viol_cons": 0}
    side = {"side": "host", "tx": counters | {k: v for k, v in changed.items() if k in counters}, "rx": {}}
    return {"side": "host", "link": link | {k: v for k, v in changed.items() if k in link}, "sides": [side]}


def test_a_good_link_is_accepted() -> None:
    judge_link(link_view(), offload=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"up": False, "state": "down", "reason": "no peer"}, "link is down"),
        ({"features": {"CSUM": "on", "TSO4": "the kernel refuses it"}}, "TSO4"),
        ({"drop_too_big": 1}, "drop_too_big 1"),
        ({"viol_cons": 1}, "viol_cons 1"),
    ],
)
def test_a_link_that_is_not_as_claimed_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge_link(link_view(**changed), offload=True)


def test_idle_time_is_not_work() -> None:
    tick = proc.machine_seconds("cpu 1 0 0 0 0 0 0 0 0 0\n")
    assert proc.machine_seconds("cpu 10 1 20 999 99 3 4 5 7 7\ncpu0 1 1") == pytest.approx(43 * tick)
