"""The ping-size suite without a network: how ping's output is judged, and a script in place of ping."""

from __future__ import annotations

import argparse
import json
import os
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from vnetcard.cli import ping
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.ping import PingCode
from vnetcard.errors import ConfigError
from vnetcard.ping import report as pingreport
from vnetcard.ping import suite
from vnetcard.ping.suite import PingResult, Target, Transcript, fill_pattern, percentile, run_suite

# Captured from iputils 20221126 against a TUN device that harmed single replies on purpose.
CLEAN = """\
PATTERN: 0x0aff
PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.
64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.121 ms
64 bytes from 127.0.0.1: icmp_seq=2 ttl=64 time=0.046 ms
64 bytes from 127.0.0.1: icmp_seq=3 ttl=64 time=0.042 ms

--- 127.0.0.1 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 29ms
rtt min/avg/max/mdev = 0.042/0.069/0.121/0.036 ms
"""
SMALL = """\
PING 127.0.0.1 (127.0.0.1) 8(36) bytes of data.
16 bytes from 127.0.0.1: icmp_seq=1 ttl=64
16 bytes from 127.0.0.1: icmp_seq=2 ttl=64

--- 127.0.0.1 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1009ms


"""
DUPLICATE = """\
PING 10.98.0.2 (10.98.0.2) 64(92) bytes of data.
72 bytes from 10.98.0.2: icmp_seq=1 ttl=64 time=0.172 ms
72 bytes from 10.98.0.2: icmp_seq=2 ttl=64 time=0.092 ms
72 bytes from 10.98.0.2: icmp_seq=2 ttl=64 time=0.141 ms (DUP!)

--- 10.98.0.2 ping statistics ---
2 packets transmitted, 2 received, +1 duplicates, 0% packet loss, time 63ms
rtt min/avg/max/mdev = 0.071/0.121/0.172/0.032 ms
"""
CORRUPT = """\
PING 10.98.0.2 (10.98.0.2) 64(92) bytes of data.
72 bytes from 10.98.0.2: icmp_seq=1 ttl=64 time=0.091 ms
wrong data byte #40 should be 0x28 but was 0x29
#16\t10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 29 29 2a 2b 2c 2d 2e 2f 
#48\t30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f 
72 bytes from 10.98.0.2: icmp_seq=2 ttl=64 time=0.112 ms

--- 10.98.0.2 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 68ms
rtt min/avg/max/mdev = 0.087/0.122/0.216/0.047 ms
"""  # noqa: W291 (as ping prints it)
TRUNCATED = """\
PING 10.98.0.2 (10.98.0.2) 64(92) bytes of data.
72 bytes from 10.98.0.2: icmp_seq=1 ttl=64 time=0.250 ms
52 bytes from 10.98.0.2: icmp_seq=2 ttl=64 (truncated)

--- 10.98.0.2 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 64ms
rtt min/avg/max/mdev = 0.061/0.119/0.250/0.067 ms
"""
DROPPED = """\
PING fd99::2(fd99::2) 64 data bytes
72 bytes from fd99::2: icmp_seq=1 ttl=64 time=0.222 ms
72 bytes from fd99::2: icmp_seq=3 ttl=64 time=0.068 ms
72 bytes from fd99::2: icmp_seq=4 ttl=64 time=123 ms
72 bytes from fd99::2: icmp_seq=5 ttl=64 time=0.111 ms

--- fd99::2 ping statistics ---
5 packets transmitted, 4 received, 20% packet loss, time 100ms
rtt min/avg/max/mdev = 0.068/0.132/0.222/0.052 ms
"""
UNREACHABLE = """\
PING 10.99.0.77 (10.99.0.77) 56(84) bytes of data.
From 10.99.0.1 icmp_seq=1 Destination Host Unreachable
From 10.99.0.1 icmp_seq=2 Destination Host Unreachable

--- 10.99.0.77 ping statistics ---
28 packets transmitted, 0 received, +2 errors, 100% packet loss, time 2012ms
pipe 28
"""
HERE = Target("10.0.0.1")
THERE = Target("10.0.0.2", "card", "host to card")


def judge(output: str, count: int, complaints: str = "") -> PingResult:
    transcript = Transcript(count)
    for at in range(0, len(output), 7):  # in pieces, as a pipe may deliver them
        transcript.feed(output[at : at + 7].encode())
    transcript.complain(complaints)
    return transcript.result(HERE, 56)


def good(target: Target = HERE, size: int = 56) -> PingResult:
    return PingResult(target, size, 20, 20, 0, 0, 0.1, 0.2, 0.3, 0.4)


def lossy(target: Target = HERE, size: int = 1473) -> PingResult:
    return PingResult(target, size, 20, 17, 1, 2, 0.1, 0.2, 0.3, 0.4, "ping: <said> so")


def test_clean_replies_give_exact_times() -> None:
    result = judge(CLEAN, 3)
    assert result == PingResult(HERE, 56, 3, 3, 0, 0, 0.042, result.rtt_avg, 0.121, 0.121, None)
    assert result.rtt_avg == pytest.approx(0.209 / 3)
    assert result.ok


def test_small_payload_has_no_times_and_is_no_failure() -> None:
    result = judge(SMALL, 2)
    assert result.ok
    assert result.rtt_min is result.rtt_avg is result.rtt_p99 is result.rtt_max is None


@pytest.mark.parametrize(("output", "duplicates", "corrupted"), [(DUPLICATE, 1, 0), (CORRUPT, 0, 1), (TRUNCATED, 0, 1)])
def test_harmed_replies_are_counted_and_not_ok(output: str, duplicates: int, corrupted: int) -> None:
    result = judge(output, 2)
    assert (result.received, result.lost, result.duplicates, result.corrupted) == (2, 0, duplicates, corrupted)
    assert not result.ok


def test_bad_checksum_is_not_received() -> None:
    result = judge(CLEAN.replace("time=0.046 ms", "time=0.046 ms (BAD CHECKSUM!)"), 3)
    assert (result.received, result.corrupted, result.lost) == (2, 1, 1)


def test_only_the_first_count_requests_are_judged() -> None:
    result = judge(DROPPED, 4)
    assert (result.sent, result.received, result.lost) == (4, 3, 1)
    assert result.rtt_max == 123.0
    assert judge(DROPPED, 1).ok


def test_requests_that_ping_did_not_send_are_lost() -> None:
    result = judge(CLEAN, 5)
    assert (result.sent, result.lost, result.ok) == (5, 2, False)
    assert result.error == "ping got only 3 of 5 requests out"


def test_error_quotes_ping_once_and_only_upon_loss() -> None:
    result = judge(UNREACHABLE, 20, "ping: sendmsg: No buffer\x01 space\nping: sendmsg: No buffer\x01 space\n")
    assert result.error == "From 10.99.0.1: Destination Host Unreachable; ping: sendmsg: No buffer\\x01 space"
    assert result.lost == 20
    assert judge(CLEAN, 3, "ping: Warning: time of day goes back (-1us)").error is None


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (2, 2), (99, 99), (100, 99), (101, 100), (200, 198)])
def test_p99_is_the_nearest_rank(n: int, expected: int) -> None:
    assert percentile([float(value) for value in range(n, 0, -1)], 99) == expected


def test_fill_patterns_differ_and_cover_all_but_two_bytes() -> None:
    patterns = {size: bytes.fromhex(fill_pattern(size)) for size in suite.DEFAULT_SIZES}
    assert len(set(patterns.values())) == len(patterns)
    for size, pattern in patterns.items():
        assert size % len(pattern) <= 2
        assert len(pattern) % 2
        assert 0 not in pattern


@pytest.mark.parametrize(
    ("text", "address", "netns"),
    [
        ("10.0.0.1", "10.0.0.1", None),
        ("fd99::2", "fd99::2", None),
        ("card@fe80::1%eth0", "fe80::1%eth0", "card"),
        ("/proc/123/ns/net@10.0.0.1", "10.0.0.1", "/proc/123/ns/net"),
    ],
)
def test_target_reads_back_as_written(text: str, address: str, netns: str | None) -> None:
    target = Target.parse(text)
    assert (target.address, target.netns, target.name) == (address, netns, text)


@pytest.mark.parametrize(
    "text", ["", "localhost", "card:10.0.0.1", "@10.0.0.1", "-a@10.0.0.1", "a/b@10.0.0.1", "10.0.0"]
)
def test_malformed_target_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Target.parse(text)
    assert caught.value.code in (ErrorCode.BAD_ADDRESS, ErrorCode.NAMESPACE_MISSING)


def test_sizes_are_numbers_ranges_and_lists() -> None:
    assert ping.parse_sizes(["56", "0-3", "2,9000,", "65507"]) == (56, 0, 1, 2, 3, 9000, 65507)


@pytest.mark.parametrize("word", ["x", "-1", "5-2", "65508", "0-65508", "1-2-3", "10.10.10.5", ",", "٣"])
def test_malformed_size_is_refused(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ping.parse_sizes([word])
    assert caught.value.code in (ErrorCode.OUT_OF_RANGE, ErrorCode.BAD_CONFIG)


BAD_NUMBERS = [
    {"count": 0},
    {"count": 30_001},
    {"interval": 0.0},
    {"interval": 61.0},
    {"interval": float("nan")},
    {"timeout": 0.0},
    {"timeout": 31.0},
]


@pytest.mark.parametrize("numbers", BAD_NUMBERS, ids=str)
def test_numbers_out_of_range_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(numbers))) as caught:
        run_suite([HERE], [56], **numbers)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize(("targets", "sizes"), [([], [56]), ([HERE], []), ([HERE], [65508]), ([HERE], [-1])])
def test_nothing_to_ping_and_wrong_sizes_are_refused(targets: list[Target], sizes: list[int]) -> None:
    with pytest.raises(ConfigError):
        run_suite(targets, sizes)


def test_ordinary_user_may_not_go_below_two_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(ConfigError) as caught:
        run_suite([HERE], [56], interval=0.001)
    assert caught.value.code is ErrorCode.NOT_ROOT


def test_missing_ping_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="iputils"):
        run_suite([HERE], [56])


@pytest.fixture
def fake_ping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in front of PATH; ``play`` puts a ping there."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def play(folder: Path, body: str, version: str = "ping from iputils 1") -> None:
    script = folder / "ping"
    script.write_text(f'#!/bin/sh\n[ "$1" = -V ] && {{ echo "{version}"; exit; }}\necho $$ >"{folder}/pid"\n{body}\n')
    script.chmod(0o755)


def test_foreign_ping_and_unknown_namespace_are_refused(fake_ping: Path) -> None:
    play(fake_ping, "", version="BusyBox v1.36")
    with pytest.raises(ConfigError, match="iputils"):
        run_suite([HERE], [56])
    play(fake_ping, "")
    with pytest.raises(ConfigError, match="no-such-ns") as caught:
        run_suite([Target("10.0.0.1", "no-such-ns")], [56])
    assert caught.value.code is ErrorCode.NAMESPACE_MISSING


def test_ping_that_cannot_run_is_loss_with_its_message(fake_ping: Path) -> None:
    play(fake_ping, "echo 'ping: connect: Network is unreachable' >&2; exit 2")
    (result,) = run_suite([HERE], [56], count=4)
    assert (result.lost, result.ok) == (4, False)
    assert result.error == "ping could not run (status 2); ping: connect: Network is unreachable"


def test_hung_ping_is_killed_and_what_it_said_counts(fake_ping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "KILL_AFTER", 0.2)
    play(fake_ping, "trap '' INT\necho '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1.5 ms'\nwhile :; do :; done")
    begin = time.monotonic()
    (result,) = run_suite([HERE], [56], count=3, timeout=0.2)
    assert time.monotonic() - begin < 3
    assert (result.received, result.lost, result.rtt_max) == (1, 2, 1.5)
    assert result.error is not None
    assert "killed" in result.error
    assert_gone(fake_ping)


def test_interrupt_kills_ping_at_once(fake_ping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        while not (fake_ping / "pid").exists() or not (fake_ping / "pid").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "_follow", interrupted)
    play(fake_ping, "trap '' INT\nwhile :; do :; done")
    with pytest.raises(KeyboardInterrupt):
        run_suite([HERE], [56])
    assert_gone(fake_ping)


def assert_gone(folder: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


def test_table_is_aligned_and_ends_with_the_verdict() -> None:
    first, *rows, last = pingreport.table([good(), good(THERE)]).splitlines()
    assert " ".join(first.split()) == "direction size sent lost loss % min ms avg ms p99 ms max ms"
    assert rows[1] == "host to card    56    20     0      0    0.100    0.200    0.300    0.400"
    assert {len(line) for line in [first, *rows]} == {len(rows[1])}
    assert last == "all 1 sizes, both directions: 0% loss"


def test_failed_line_names_which_and_a_small_loss_is_not_zero() -> None:
    text = pingreport.table([good(), lossy(THERE)])
    assert text.splitlines()[-1] == "FAILED 1 of 2: host to card size 1473 (3 of 20 lost)"
    assert "1 duplicates; 2 corrupted; ping: <said> so" in text
    assert pingreport.loss_percent(PingResult(HERE, 56, 30_000, 29_999)) == "0.00333"
    assert "FAILED" in pingreport.table([])


def test_json_holds_every_number() -> None:
    report = json.loads(json.dumps(pingreport.as_json([good(), lossy(THERE)])))
    assert report["ok"] is False
    assert report["results"][0]["rtt_ms"] == {"min": 0.1, "avg": 0.2, "p99": 0.3, "max": 0.4}
    assert report["results"][1]["target"] == {"name": "host to card", "address": "10.0.0.2", "netns": "card"}
    assert (report["results"][1]["lost"], report["results"][1]["error"]) == (3, "ping: <said> so")
    assert pingreport.as_json([PingResult(HERE, 8, 2, 2)])["results"][0]["rtt_ms"] is None
    assert pingreport.as_json([])["ok"] is False


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (PingResult(HERE, 56, 20, 20), None),
        (PingResult(HERE, 56, 20, 19), PingCode.LOST),
        (PingResult(HERE, 56, 20, 19, duplicates=1), PingCode.DUPLICATED),
        (PingResult(HERE, 56, 20, 19, duplicates=1, corrupted=1), PingCode.CORRUPTED),
        (PingResult(HERE, 56, 0, 0), PingCode.FAILED),
    ],
)
def test_code_is_that_of_the_most_serious_failure(result: PingResult, code: PingCode | None) -> None:
    assert result.code is code
    assert result.ok == (code is None)
    assert json.loads(json.dumps(pingreport.as_json([result])))["results"][0]["code"] == code


def test_junit_has_a_case_for_each_target_and_size() -> None:
    root = ET.fromstring(pingreport.junit([good(), lossy(THERE)]))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    whole, failed = root.iter("testcase")
    assert (whole.get("classname"), whole.get("name"), whole.find("failure")) == ("ping.10.0.0.1", "size 56", None)
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == "3 of 20 lost; 1 duplicates; 2 corrupted; ping: <said> so"
    assert failure.get("type") == PingCode.FAILED
    assert failed.find("properties/property[@name='rtt_p99_ms']") is not None


def run_command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    ping.add_parser(parser.add_subparsers())
    args = parser.parse_args(["ping", *words])
    status: int = args.run(args)
    return status


REPLIES = 'printf "%s\\n" "64 bytes from x: icmp_seq=1 ttl=64 time=1.5 ms" "" "1 packets transmitted, 1 received"'


def test_command_prints_rows_and_a_verdict(fake_ping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(fake_ping, REPLIES)
    junit = fake_ping / "out.xml"
    assert run_command("10.0.0.1", "10.0.0.2", "--count", "1", "--sizes", "56-57", "--junit", str(junit)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["direction", *["10.0.0.1"] * 2, *["10.0.0.2"] * 2, "all"]
    assert ET.parse(junit).getroot().get("tests") == "4"


def test_command_prints_json_alone_and_fails_upon_loss(fake_ping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(fake_ping, "exit 2")
    assert run_command("10.0.0.1", "--count", "1", "--sizes", "56", "--json") == 1
    assert json.loads(capsys.readouterr().out)["results"][0]["lost"] == 1


@pytest.mark.parametrize(
    "words",
    [["--sizes", "56", "10.0.0.1"], ["localhost"], ["10.0.0.1", "--netns", "a@b"], ["--junit", "/no/such/folder/x"]],
)
def test_bad_input_is_refused_before_anything_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError):
        run_command(*words)
    assert capsys.readouterr().out == ""
