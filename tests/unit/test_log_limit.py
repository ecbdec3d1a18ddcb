"""A log never has more than 20 lines in a second, never stops its writer, and accounts for what it leaves out."""

from __future__ import annotations

import _thread
import contextlib
import itertools
import logging
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.blocked import FullPipe
from vnetcard.agent import service
from vnetcard.agent.line_writer import KEPT, LineWriter
from vnetcard.agent.log_limit import LogLimit

STEP = 0.001


def flood(texts: Iterator[str], seconds: float) -> tuple[list[tuple[float, str]], int]:
    """A thousand lines a second: what is written, with its time, and how many there were."""
    limit: LogLimit[None] = LogLimit()
    written, now, count = [], 1000.0, 0
    while now < 1000.0 + seconds:
        text = next(texts)
        count += 1
        if limit.admit(now, text, None):
            written.append((now, text))
        written += [(now, line) for _, line in limit.due(now)]
        now += STEP
    return written + [(now, line) for _, line in limit.due(now, ending=True)], count


def lines_meant(written: list[tuple[float, str]]) -> int:
    """For how many lines the ``written`` ones stand."""
    total = 0
    for _, line in written:
        times = re.search(r"\.\.\. ([\d,]+) times$|^([\d,]+) other lines", line)
        total += int((times[1] or times[2]).replace(",", "")) if times else 1
    return total


@pytest.mark.parametrize(
    "texts",
    [itertools.repeat("the same"), itertools.cycle("ABC"), map("number {}".format, itertools.count())],
    ids=["one", "three", "all different"],
)
def test_flood_of_lines_is_bounded_in_each_second_and_counted(texts: Iterator[str]) -> None:
    written, count = flood(texts, 10.0)
    times = [at for at, _ in written[:-6]]  # the last ones are those of the end
    assert all(later - first >= 1 - STEP for first, later in zip(times, times[20:], strict=False))
    assert lines_meant(written) == count
    assert len(written) < 220


def test_quiet_log_is_written_as_it_is() -> None:
    limit: LogLimit[None] = LogLimit()
    for n in range(1000):
        assert limit.admit(n / 10, "again", None)
        assert limit.due(n / 10) == []


def test_burst_at_a_start_is_delayed_and_not_lost() -> None:
    limit: LogLimit[int] = LogLimit()
    texts = [f"warning {n}" for n in range(40)]
    written = [text for n, text in enumerate(texts) if limit.admit(0.0, text, n)]
    for second in range(1, 10):
        written += [text for _, text in limit.due(float(second))]
    assert written == texts


def test_writer_does_not_wait_for_a_pipe_without_a_reader_and_reports_what_was_lost() -> None:
    with contextlib.closing(FullPipe()) as pipe:
        fd = os.open(pipe.path, os.O_WRONLY)
        writer = LineWriter(fd, "{} lost".format)
        writer.put("line 0")
        deadline = time.monotonic() + 60
        while writer._lines:  # until the writing thread has it
            assert time.monotonic() < deadline
            time.sleep(0.001)
        for n in range(1, KEPT + 101):
            writer.put(f"line {n}")
        assert not writer.close(0.01)
        assert writer.dropped == 100
        writer.put("one more")
        text = pipe.read_until(lambda text: f"line {KEPT}\n" in text)
        assert writer.close(60)
        writer.put("end")
        text += pipe.read_until(lambda text: text.endswith("end\n"))
        assert f"{writer.dropped} lost\n" in text
        counts = Counter(text.splitlines())
        assert set(counts.values()) == {1} and counts["one more"] == 0
        os.close(fd)


def test_writer_shares_a_non_blocking_descriptor() -> None:
    with contextlib.closing(FullPipe()) as pipe:
        fd = os.open(pipe.path, os.O_WRONLY | os.O_NONBLOCK)
        writer = LineWriter(fd, str)
        writer.put("x" * 20_000)
        assert not writer.close(0.05)
        assert len(pipe.read_until(lambda text: text.endswith("\n"))) == 20_001
        assert writer.close(60)
        os.close(fd)


@pytest.mark.parametrize("full", [True, False])
def test_writer_without_a_thread_writes_what_fits(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with contextlib.closing(FullPipe()) as pipe:
        fd = os.open(pipe.path, os.O_WRONLY)
        if not full:
            pipe.empty()
        writer = LineWriter(fd, str)
        writer.put("words")
        assert writer.close(0)
        assert pipe.empty() == ("" if full else "words\n")
        os.close(fd)


def test_repeated_lines_keep_level_and_code(capfd: pytest.CaptureFixture[str]) -> None:
    log, output = service.open_log("vnetcard-test", as_json=True, level="info")
    for _ in range(100):
        log.error("trouble %s", "\x1b[2J", extra={"code": "no-peer"})
    output.end()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 16
    assert '"level": "error"' in lines[-1] and '"code": "no-peer"' in lines[-1] and "... 85 times" in lines[-1]
    assert "\\\\x1b[2J" in lines[0]
    logging.getLogger("vnetcard.vnetcard-test").handlers.clear()


DEFECT = "from vnetcard.agent import agent; agent.Agent.run = lambda self: 1 / 0; agent.main(0, [])"


@pytest.mark.parametrize("blocked", [True, False])
def test_agent_with_a_defect_ends_with_its_traceback_whether_it_is_read_or_not(blocked: bool) -> None:
    with contextlib.closing(FullPipe()) as pipe:
        if not blocked:
            pipe.empty()
        with Path(pipe.path).open("w") as stderr:
            assert (
                subprocess.run([sys.executable, "-c", DEFECT], stderr=stderr, timeout=60, check=False).returncode == 2
            )
        assert ("ZeroDivisionError" in pipe.empty()) != blocked
