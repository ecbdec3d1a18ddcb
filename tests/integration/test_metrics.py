"""`vnetcard metrics` on a real link: names and values of `show`, and all that dashboard and alerts ask for."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.programs import VNETCARD, run, started
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

Values = dict[tuple[str, str, str], float]
"""Values by name, side and direction."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("metrics") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        command = ["ping", "-n", "-q", "-c", "20", "-i", "0.01", "10.10.10.5"]
        subprocess.run(run_in(lab.namespaces[L.HOST], command), check=True, capture_output=True)
        yield lab


def values(text: str) -> Values:
    """What Prometheus would take from ``text``, by its own parser."""
    return {
        (sample.name, sample.labels.get("side", ""), sample.labels.get("direction", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def once(lab: Lab) -> Values:
    done = run([*VNETCARD, "metrics", "--once", "--window", lab.url])
    assert (done.status, done.stderr) == (0, ""), done
    return values(done.stdout)


def shown(lab: Lab, what: str) -> Any:
    return json.loads(run([*VNETCARD, "show", what, "--json", "--window", lab.url]).stdout)[what]


def asked_for(text: str) -> set[str]:
    """The names of ours in a dashboard or in rules."""
    return set(re.findall(r"vnetcard_\w+", text))


def test_every_counter_that_is_shown_is_a_metric_of_its_name_and_value(lab: Lab) -> None:
    found, runtime = once(lab), shown(lab, "runtime")
    checked = 0
    for side in L.SIDES:
        for pump in ("tx", "rx"):
            direction = L.DIRECTIONS[L.SIDES.index(side) ^ (pump == "rx")]
            for name, value in runtime[side][pump].items():
                keys = [(f"vnetcard_{name}{end}", side, direction) for end in ("", "_total")]
                (metric,) = [found[key] for key in keys if key in found]
                if name.startswith(("drop_", "tx_sent", "tx_taken", "rx_received", "rx_delivered", "viol_")):
                    assert metric == value, name
                checked += 1
    assert checked > 80
    for name, value in shown(lab, "link")["host"]["counters"].items():
        assert found[f"vnetcard_{name}_total", "host", ""] == value
    assert found["vnetcard_link_running", "card", ""] == 1


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
def test_every_name_in_dashboard_and_alerts_is_a_live_one(lab: Lab, file: str) -> None:
    text = resources.files("vnetcard.observe").joinpath(file).read_text()
    names = asked_for(text)
    assert len(names) > 10
    live = {name for name, _, _ in once(lab)}
    assert names - live == set()


def test_two_links_of_one_machine_differ_by_the_label_window(lab: Lab) -> None:
    with Lab("metrics2") as other:
        other.start(L.HOST)
        done = run([*VNETCARD, "metrics", "--once", "--window", lab.url, "--window", other.url, "--window", lab.url])
    assert (done.status, done.stderr) == (0, "")
    samples = [one for family in text_string_to_metric_families(done.stdout) for one in family.samples]
    series = [(one.name, tuple(sorted(one.labels.items()))) for one in samples]
    assert len(set(series)) == len(series) > 300
    running = {
        (one.labels["window"], one.labels["side"]): one.value for one in samples if one.name == "vnetcard_link_running"
    }
    assert running == {(lab.url, "host"): 1, (lab.url, "card"): 1, (other.url, "host"): 0}


def test_alert_rules_are_rules() -> None:
    rules = yaml.safe_load(run([*VNETCARD, "metrics", "--alerts"]).stdout)["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 8
    for rule in rules:
        assert asked_for(rule["expr"]), rule["alert"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"].startswith("{{ $labels.window }}: ")
        assert all(group == "(instance, window, side)" for group in re.findall(r"sum by (\(.*?side\))", rule["expr"]))
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_dashboard_has_a_query_in_every_panel() -> None:
    dashboard = json.loads(run([*VNETCARD, "metrics", "--dashboard"]).stdout)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 8
    for target in [target for panel in panels for target in panel["targets"]]:
        assert (
            len(re.findall(r'vnetcard_\w+\{window=~"\$window"\}', target["expr"])) >= len(asked_for(target["expr"])) > 0
        )
        assert target["legendFormat"].startswith("{{window}} ")


def test_server_listens_on_loopback_and_ends_upon_sigterm(lab: Lab) -> None:
    with started([*VNETCARD, "metrics", "--listen", "0", "--window", lab.url]) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.fullmatch(r"vnetcard metrics: (http://127\.0\.0\.1:(\d+)/metrics)\n", line)
        assert found, line
        text = urllib.request.urlopen(found[1], timeout=10).read().decode()
        assert values(text)["vnetcard_agent_up", "host", ""] == 1
        elsewhere = _own_address()
        if elsewhere:
            with pytest.raises(OSError), socket.create_connection((elsewhere, int(found[2])), timeout=5):
                pass
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def _own_address() -> str:
    """An address of this machine that is not loopback, or ''."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith("127.") else address


def test_without_an_agent_the_server_says_so_in_a_metric(lab: Lab) -> None:
    with started([*VNETCARD, "metrics", "--listen", "0", "--window", f"{lab.url}-none"]) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        found = values(urllib.request.urlopen(url, timeout=10).read().decode())
        assert {key: value for key, value in found.items() if "agent_up" in key[0]} == {
            ("vnetcard_agent_up", "host", ""): 0,
            ("vnetcard_agent_up", "card", ""): 0,
        }
