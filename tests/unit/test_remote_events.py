"""Events of an agent on another computer (``trace --peer``): a command there that prints something else."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import replace

import pytest

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring.tap_shm import Event
from vnetcard.tap import remote
from vnetcard.tap.remote import ExportRequest, RemoteSource

GREETING = json.dumps({"side": 1, "clock": "there", "transport": "an engine\x1b[2J", "own": None})
EVENT = Event(1, "c2h", 0, "PUBLISH", 0, 0, 1000, (7, 8), 3, 1, 64, 5, 0, b"", b"")
LIMIT_S = 20.0


def source(*lines: str, more: str = "") -> RemoteSource:
    """The source with a command that prints ``lines``, and then what the shell command ``more`` prints."""
    printed = f"printf '%s\\n' {shlex.join(lines)}; {more or 'true'}"
    return RemoteSource(shlex.join(["sh", "-c", printed]), ExportRequest(1, 1))


def drained(events: RemoteSource) -> list[Event]:
    """All events, once the command has ended."""
    found: list[Event] = []
    end = time.monotonic() + LIMIT_S
    while not events.ended:
        assert time.monotonic() < end
        found += events.drain()
    return [*found, *events.drain()]


def test_events_and_missed_ones_are_read() -> None:
    events = source(GREETING, remote.encode(EVENT), '{"missed": 4}', remote.encode(replace(EVENT, seq=4)))
    try:
        assert [event.seq for event in drained(events)] == [3, 4]
        assert events.missed == 4
        assert events.transport.isprintable()
    finally:
        events.close()


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("no event", ""),
        ("[" * 100_000, ""),
        ('{"missed": null}', ""),
        (remote.encode(replace(EVENT, length=1 << 40)), ""),
        ("[1]", "head -c 3000000 /dev/zero"),
        (remote.encode(EVENT), "head -c 3000000 /dev/zero"),
    ],
    ids=["word", "deep nesting", "missed", "number out of range", "short event", "line without end"],
)
def test_line_that_is_no_event_is_one_error(line: str, more: str) -> None:
    events = source(GREETING, line, more=more)
    try:
        with pytest.raises(ConfigError) as caught:
            drained(events)
        assert caught.value.code is ErrorCode.REMOTE_FAILED
        assert "\n" not in str(caught.value)
    finally:
        events.close()


@pytest.mark.parametrize(
    "greeting", ["[]", "[" * 100_000, GREETING.replace("1,", "2,"), GREETING.replace("1,", '"1",')]
)
def test_greeting_that_is_none_is_one_error(greeting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(greeting)
    assert caught.value.code is ErrorCode.REMOTE_FAILED


@pytest.mark.parametrize("length", [0, 1, 3, 10, 0xFFFF_FFFF])
@pytest.mark.parametrize("seq", [5, 0xFFFF_FFFE])
def test_batch_covers_the_records_from_its_first_on(length: int, seq: int) -> None:
    batch = replace(EVENT, seq=seq, length=length)
    records = [replace(EVENT, seq=n % (1 << 32), queue=n % 2).record for n in range(seq - 4, seq + 8)]
    expected = [record for record in records if record[1] == 0 and (record[3] - seq) % (1 << 32) < length]
    assert sorted(batch.covered(records)) == sorted(expected)
