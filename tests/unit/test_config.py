"""Configuration: one table of options for command line and file, with the documented defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vnetcard.agent.config import DEFAULT_ADDRESS, PROGRAMS, Config, load, parser
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L

VALUES: dict[str, tuple[list[str], Any]] = {
    "window": (["shm:lab0+64K"], "shm:lab0+64K"),
    "port": (["tap:tun5"], "tap:tun5"),
    "name": (["tun5"], "tun5"),
    "mac": (["02:00:5e:00:00:01"], "02:00:5e:00:00:01"),
    "bridge": (["br5"], "br5"),
    "address": (["10.9.9.1/24", "fd00::1/64"], ["10.9.9.1/24", "fd00::1/64"]),
    "route": (["10.8.0.0/16 via 10.9.9.5", "10.7.0.0/16"], ["10.8.0.0/16 via 10.9.9.5", "10.7.0.0/16"]),
    "mtu": (["9000"], 9000),
    "netns": (["lab"], "lab"),
    "queue-bytes": (["64K"], "64K"),
    "queues": (["2"], 2),
    "steering": (["kernel"], "kernel"),
    "wait": (["sleep"], "sleep"),
    "offload": (["csum,tso4"], "csum,tso4"),
    "persist": ([], True),
    "allow": (["10.9.9.0/24", "fd00::/64"], ["10.9.9.0/24", "fd00::/64"]),
    "trust-peer": ([], True),
    "max-segments": (["64"], 64),
    "gro": ([], True),
    "punt": (["icmp=unix:/run/punt"], "icmp=unix:/run/punt"),
    "nice": (["-5"], -5),
    "cpus": (["0-2,5"], "0-2,5"),
    "sched": (["fifo:10"], "fifo:10"),
    "privileges": (["least"], "least"),
    "user": (["nobody"], "nobody"),
    "log-level": (["debug"], "debug"),
    "json-log": ([], True),
}
"""Option: its words on the command line, and the same in TOML."""
NEEDS_TAP = ("mac", "bridge")


def long_options(side: int) -> set[str]:
    names = {name for action in parser(side)._actions for name in action.option_strings if name.startswith("--")}
    return {name.removeprefix("--") for name in names} - {"help", "config"}


def words(option: str) -> list[str]:
    values = VALUES[option][0]
    return tap(option) + [word for value in values for word in (f"--{option}", value)] or [f"--{option}"]


def tap(option: str) -> list[str]:
    return ["--port", "tap"] if option in NEEDS_TAP else []


def from_file(path: Path, text: str, *argv: str, side: int = L.HOST) -> Config:
    path.write_text(text, encoding="utf-8")
    return load(side, ["--config", str(path), *argv])


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_defaults_are_those_of_the_documentation(side: int) -> None:
    config = load(side, [])
    assert config.program == PROGRAMS[side] == ("vnetcard-x86", "vnetcard-fpga")[side]
    assert config.window == "shm:vnetcard0"
    assert (config.port, config.name) == ("tun:tun0", "tun0")
    assert [str(address) for address in config.addresses] == [("10.10.10.1/24", "10.10.10.5/24")[side]]
    assert (config.mtu, config.netns, config.routes) == (1500, None, ())
    assert (config.queue_bytes, config.queues) == (None, None)
    assert (config.wait, config.persist, config.log_level, config.json_log) == ("adaptive", False, "info", False)
    assert config.offload == {"CSUM", "TSO4", "TSO6", "USO4", "USO6"}


def test_both_sides_have_the_same_options_and_each_is_tested_here() -> None:
    assert long_options(L.HOST) == long_options(L.CARD) == set(VALUES) | {"version"}


def test_named_user_keeps_the_least_unless_more_is_asked_for() -> None:
    assert [load(L.HOST, words).privileges for words in ([], ["--user", "nobody"])] == ["follow", "least"]
    assert load(L.HOST, ["--user", "nobody", "--privileges", "follow"]).privileges == "follow"


@pytest.mark.parametrize("option", VALUES)
def test_file_and_command_line_are_equivalent(option: str, tmp_path: Path) -> None:
    line = f"{option} = {json.dumps(VALUES[option][1])}\n"
    same = load(L.HOST, words(option))
    assert from_file(tmp_path / "a.toml", line, *tap(option)) == same
    assert from_file(tmp_path / "a.toml", line.replace("-", "_", option.count("-")), *tap(option)) == same
    assert same != load(L.HOST, []), "the value tried is the default: the test shows nothing"


@pytest.mark.parametrize("option", VALUES)
def test_command_line_overrides_the_file(option: str, tmp_path: Path) -> None:
    others: dict[str, Any] = {"mtu": 1400, "address": "10.1.1.1/8", "route": "10.2.0.0/16", "window": "shm:other"}
    others |= {"port": "tun:tun5", "offload": "off", "queue-bytes": "4K", "wait": "poll", "log-level": "error"}
    others |= {"queues": 3, "max-segments": 100, "mac": "02:00:00:00:00:09", "punt": "udp=unix:/run/other"}
    others |= {"queues": 3, "privileges": "follow", "user": "root", "allow": "10.1.1.1"}
    others |= {"steering": "sparse", "nice": 7, "cpus": "3", "sched": "batch"}
    other = others.get(option, False if VALUES[option][1] is True else "tun5")
    line = f"{option} = {json.dumps(other)}\n"
    assert from_file(tmp_path / "a.toml", line, *words(option)) == load(L.HOST, words(option))


def test_whole_file_is_the_whole_command_line(tmp_path: Path) -> None:
    text = "".join(f"{option} = {json.dumps(value)}\n" for option, (_, value) in VALUES.items())
    whole = [word for option in VALUES for word in words(option)]
    assert from_file(tmp_path / "a.toml", text, side=L.CARD) == load(L.CARD, whole)


def test_single_address_and_number_of_bytes_need_no_quotes_or_brackets(tmp_path: Path) -> None:
    config = from_file(tmp_path / "a.toml", 'address = "10.9.9.1/24"\nqueue-bytes = 65536\n')
    assert [str(address) for address in config.addresses] == ["10.9.9.1/24"]
    assert config.queue_bytes == 65536


def test_allowed_sources_are_networks() -> None:
    def allowed(*texts: str) -> list[str]:
        return [str(one) for one in load(L.HOST, [word for text in texts for word in ("--allow", text)]).allow]

    assert allowed("10.9.9.5", "fd00::5", "10.9.9.5/32", "0.0.0.0/0") == ["10.9.9.5/32", "fd00::5/128", "0.0.0.0/0"]
    assert allowed("10.9.0.0/255.255.0.0") == ["10.9.0.0/16"]
    for wrong, words in {
        "10.9.9.5/24": r"'10.9.9.5/24' has bits behind its prefix: write 10.9.9.0/24, or 10.9.9.5 for one address",
        "fd00::1/64": "write fd00::/64, or fd00::1 for one address",
        "10.9.9.0/33": "'10.9.9.0/33' is not a network: write IP/BITS",
        "fe80::%tun0/64": "is not a network",
        "card.example": "is not a network",
        "none": "is not a network",
        "": "'' is not a network",
    }.items():
        with pytest.raises(ConfigError, match=words) as refused:
            allowed(wrong)
        assert refused.value.code is ErrorCode.BAD_NETWORK and "\n" not in str(refused.value)
    assert len(allowed(*(f"10.0.{n}.0/24" for n in range(64)), "10.0.0.0/24")) == 64
    with pytest.raises(ConfigError, match="--allow is given 65 networks, but at most 64 are possible"):
        allowed(*(f"10.0.{n}.0/24" for n in range(65)))


def test_interface_may_have_no_address(tmp_path: Path) -> None:
    assert load(L.HOST, ["--address", "none"]).addresses == ()
    assert from_file(tmp_path / "a.toml", "address = []\n").addresses == ()


def test_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    for text in ("mtu = 7\n", "wait = 'never'\n", "address = '10.0.0.1'\n", "name = 'a/b'\n", "nonsense = 1\n", "="):
        with pytest.raises(ConfigError, match=str(tmp_path / "a.toml")):
            from_file(tmp_path / "a.toml", text)


def test_values_that_exclude_one_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1280 at least"):
        from_file(tmp_path / "a.toml", "mtu = 1000\n", "--address", "fd00::1/64")
    with pytest.raises(ConfigError, match="give one of them"):
        from_file(tmp_path / "a.toml", 'port = "tun:tun1"\n', "--name", "tun2")
    for option in NEEDS_TAP:
        with pytest.raises(ConfigError, match="needs Ethernet frames: --port tap"):
            load(L.HOST, [*words(option), "--port", "tun"])
    with pytest.raises(ConfigError, match="out of range for a tap"):
        load(L.HOST, ["--port", "tap", "--mtu", "65522"])


def test_tap_has_its_own_name_and_a_port_of_a_bridge_no_address_by_default() -> None:
    assert load(L.HOST, ["--port", "tap"]).name == "tap0"
    assert load(L.HOST, ["--port", "tap", "--mtu", "65521"]).addresses
    assert load(L.HOST, ["--port", "tap", "--bridge", "br0"]).addresses == ()
    assert load(L.HOST, ["--port", "tap", "--bridge", "br0", "--address", "10.1.1.1/24"]).addresses


MACVTAP_REFUSED = {
    "--port macvtap": "expected macvtap:IF",
    "--port macvtap: --name macvtap1": "expected macvtap:IF",
    "--port macvtap:eth1/2": "'eth1/2'",
    "--port macvtap:sixteen-bytes-xx": "'sixteen-bytes-xx': 1 to 15 bytes",
    "--port macvtap:eth1 --name sixteen-bytes-xx": "'sixteen-bytes-xx': 1 to 15 bytes",
    "--port macvtap:eth1 --name eth1": "needs another name",
    "--port macvtap:eth1?name=eth1": "needs another name",
    "--port macvtap:eth1?name=": "invalid interface name ''",
    "--port macvtap:eth1?name=one --name two": "name two interfaces",
    "--port macvtap:eth1?mode=vepa": "'mode=vepa' is unknown: expected name=NAME",
    "--port macvtap:eth1 --address 192.0.2.9/24": "--address is not for --port macvtap:eth1",
    "--port macvtap:eth1 --route 10.0.0.0/8": "--route is not for --port macvtap:eth1",
    "--port macvtap:eth1 --bridge br0": "--bridge is not for --port macvtap:eth1",
    "--port macvtap:eth1 --persist": "--persist is not for --port macvtap:eth1",
    "--port macvtap:eth1 --mtu 65530": "--mtu 65530 is out of range for a macvtap (68 to 65521)",
    "--port macvtap:eth1 --mac 01:00:5e:00:00:01": "multicast",
    "--port macvtap:eth1 --mac zero": "--mac 'zero'",
}


@pytest.mark.parametrize("words", MACVTAP_REFUSED)
def test_what_a_macvtap_cannot_have_is_refused_in_a_line(words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(MACVTAP_REFUSED[words])) as caught:
        load(L.HOST, words.split())
    assert "\n" not in str(caught.value)


def test_macvtap_has_its_own_name_and_no_address() -> None:
    plain, named = load(L.HOST, ["--port", "macvtap:eth1"]), load(L.HOST, ["--port", "macvtap:eth1", "--name", "lan0"])
    assert (plain.port, plain.name, plain.addresses) == ("macvtap:eth1?name=macvtap0", "macvtap0", ())
    assert (named.port, named.name) == ("macvtap:eth1?name=lan0", "lan0")


@pytest.mark.parametrize(
    "mac",
    [
        *("", "02:00:5e:00:00", "02:00:5e:00:00:0g", "02:00:5e:00:00:01:02", "0x0200", "00:00:00:00:00:00"),
        *("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", " 02:00:5e:00:00:01", "02:00:5e:00:00:1"),
    ],
)
def test_impossible_mac_address_is_refused_in_a_line(mac: str) -> None:
    with pytest.raises(ConfigError, match="--mac") as caught:
        load(L.HOST, ["--port", "tap", "--mac", mac])
    assert caught.value.code is ErrorCode.BAD_MAC
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_help_shows_every_default_and_an_example(side: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        load(side, ["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for word in ("shm:vnetcard0", "(tun0)", DEFAULT_ADDRESS[side], "(1500)", "(adaptive)", "(info)", "examples:"):
        assert word in shown
    assert all(f"--{option}" in shown for option in VALUES)


def test_bad_command_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        load(L.CARD, ["--mtu", "big\nbad"])
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("vnetcard-fpga: error: ") and shown.err.endswith("; try vnetcard-fpga --help\n")
    assert shown.err.count("\n") == 1


@settings(deadline=None, max_examples=60)
@given(
    key=st.sampled_from(sorted(VALUES)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
)
def test_any_value_is_accepted_or_a_configuration_error(
    key: str, value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    try:
        from_file(path, f"{key} = {json.dumps(value)}\n")
    except ConfigError as error:
        assert str(path) in str(error)
