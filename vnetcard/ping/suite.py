"""The ping-size suite: ping each address at each size, and lose nothing.

The system's ``ping`` (iputils) sends and checks the packets; this file starts it, reads every line and
judges.  Three habits of ping shape it:

- ``ping -c N`` waits for the last reply only ``max(2 * longest RTT, interval)``: one late reply counts as lost.
  So ping sends more than ``count`` requests, only the first ``count`` are judged, and then ping is interrupted.
- ``-p`` fills whole periods of the pattern only and leaves zeros behind them; ``fill_pattern`` picks a
  length that leaves at most two bytes.  ping does not compare the first 16 bytes, its time stamp.
- ping's socket holds few large replies.  When a stall delivers many at once ping itself drops some.  If that
  explains every missing reply the size is pinged again, more slowly; the last attempt is the result.  Replies that
  are dropped then count as lost, and ``error`` says that ping dropped them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol

from vnetcard.codes.error import ErrorCode
from vnetcard.codes.ping import PingCode
from vnetcard.errors import ConfigError
from vnetcard.terminal.escape import printable
from vnetcard.terminal.ready import readable

DEFAULT_SIZES: Final = (56, 256, 512, 1024, 1472, 1473, 2048, 4096, 9000, 65507)
"""Bytes of ICMP payload: ping's default, the last that fits and the first that does not fit 1500 bytes, the largest."""
SIZE_MAX: Final = 65507  # the 65535 bytes of an IPv4 packet without the headers of IPv4 and ICMP
LIMITS: Final[dict[str, tuple[float, float, str]]] = {
    "size": (0, SIZE_MAX, "bytes"),
    "count": (1, 30_000, "pings"),
    "interval": (0.001, 60, "seconds"),
    "timeout": (0.1, 30, "seconds"),
}
USER_INTERVAL_MIN: Final = 0.002  # seconds; ping refuses less to anyone but root
PACE_SLACK: Final = 0.02  # seconds that a ping may come late after each interval: waits end on kernel ticks
REPEATS: Final = 2
"""How often a size is pinged again because ping's own socket had no room for replies."""
SLOWER: Final = 4.0
"""The factor by which the interval grows with each repetition; it ends at the limit of ``LIMITS``."""
KILL_AFTER: Final = 5.0  # seconds that an interrupted ping has to write its statistics
NETNS_FOLDER: Final = Path("/run/netns")

_REPLY = re.compile(r"\d+ bytes from .*icmp_seq=(\d+)")
_TIME = re.compile(r" time=([0-9.]+) ms")
_ICMP_ERROR = re.compile(r"From (\S+?):? icmp_seq=\d+ (.+)")
_SENT = re.compile(r"(\d+) packets transmitted")


@dataclass(frozen=True, slots=True)
class Target:
    """An address to ping and the network namespace to ping it from; ConfigError when either is malformed.

    ``netns`` is a name in ``/run/netns``, an absolute path such as ``/proc/123/ns/net``, or None for the
    namespace of this process.  ``label`` names the direction for people.
    """

    address: str
    netns: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            text = f"{self.address!r} is not an IP address; a target is ADDRESS or NETNS@ADDRESS"
            raise ConfigError(text, code=ErrorCode.BAD_ADDRESS) from None
        if self.netns is not None and not re.fullmatch(r"/\S+|[^\s/@-][^\s/@]*", self.netns):
            raise ConfigError(
                f"{self.netns!r} is not the name of a network namespace nor an absolute path to one",
                code=ErrorCode.NAMESPACE_MISSING,
            )

    @classmethod
    def parse(cls, text: str) -> Target:
        """``ADDRESS`` or ``NETNS@ADDRESS``, with an IPv4 or IPv6 address; ConfigError for anything else."""
        netns, at, address = text.rpartition("@")
        return cls(address, netns if at else None)

    @property
    def name(self) -> str:
        """What reports call this target: its label, or else as ``parse`` would read it."""
        return self.label or (f"{self.netns}@{self.address}" if self.netns else self.address)


@dataclass(frozen=True, slots=True)
class PingResult:
    """The result of the pings of one size to one target; a request that ping could not send is ``sent`` and lost.

    ``corrupted`` counts replies with a wrong byte, cut short, or with a bad checksum.  ``rtt_*`` are in
    milliseconds, None when no reply carried a time stamp (16 bytes).  ``error`` holds ping's own words.
    ``repeats``: how often the size was pinged again, each time more slowly, because ping itself dropped replies.
    """

    target: Target
    size: int
    sent: int
    received: int
    duplicates: int = 0
    corrupted: int = 0
    rtt_min: float | None = None
    rtt_avg: float | None = None
    rtt_p99: float | None = None
    rtt_max: float | None = None
    error: str | None = None
    repeats: int = 0

    @property
    def lost(self) -> int:
        """Requests without a reply."""
        return self.sent - self.received

    @property
    def ok(self) -> bool:
        """Every request was sent and answered once and unharmed."""
        return self.code is None

    @property
    def code(self) -> PingCode | None:
        """The gravest flaw; None when every request was sent and answered once and unharmed."""
        if self.error or not self.sent:
            return PingCode.FAILED
        flaws = (
            (self.corrupted, PingCode.CORRUPTED),
            (self.duplicates, PingCode.DUPLICATED),
            (self.lost, PingCode.LOST),
        )
        return next((code for count, code in flaws if count), None)


@dataclass(slots=True)
class Transcript:
    """What ping has printed so far; only sequence numbers 1 to ``count`` are judged as answered.

    ``overflowed`` counts the replies that ping's own socket had no room for.
    """

    count: int
    answered: set[int] = field(default_factory=set)
    rtts: list[float] = field(default_factory=list)
    duplicates: int = 0
    corrupted: int = 0
    transmitted: int | None = None
    words: dict[str, None] = field(default_factory=dict)
    overflowed: int = 0
    rest: bytes = b""

    def feed(self, output: bytes) -> None:
        """Process a piece of ping's standard output; an unfinished line is kept for the next piece."""
        *lines, self.rest = (self.rest + output).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace"))

    def _line(self, line: str) -> None:
        if reply := _REPLY.match(line):
            seq, duplicate, spoilt = int(reply[1]), "(DUP!)" in line, "(BAD CHECKSUM" in line
            self.duplicates += duplicate
            self.corrupted += spoilt or "(truncated)" in line
            if 1 <= seq <= self.count and not (duplicate or spoilt):
                self.answered.add(seq)
                if rtt := _TIME.search(line):
                    self.rtts.append(float(rtt[1]))
        elif line.startswith("wrong data byte"):
            self.corrupted += 1
        elif error := _ICMP_ERROR.match(line):
            self.words[f"From {error[1]}: {printable(error[2].strip())}"] = None
        elif sent := _SENT.match(line):
            self.transmitted = int(sent[1])

    def complain(self, text: str) -> None:
        """Process ping's standard error; a repeated line is kept once."""
        self.words |= dict.fromkeys(printable(line.strip()) for line in text.splitlines() if line.strip())

    @property
    def lost_in_ping(self) -> bool:
        """Whether replies are missing, and ping itself dropped as many."""
        return 0 < self.count - len(self.answered) <= self.overflowed

    def result(self, target: Target, size: int, *, problem: str | None = None, repeats: int = 0) -> PingResult:
        """The verdict once ping has ended; ``problem`` is a failure that the caller has seen."""
        if not problem and self.transmitted is not None and self.transmitted < self.count:
            problem = f"ping got only {self.transmitted} of {self.count} requests out"
        problems = [problem] if problem else []
        if len(self.answered) < self.count:
            problems += list(self.words)[:3]
        counted = (self.count, len(self.answered), self.duplicates, self.corrupted)
        times: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
        if rtts := self.rtts:
            times = (min(rtts), sum(rtts) / len(rtts), percentile(rtts, 99), max(rtts))
        return PingResult(target, size, *counted, *times, "; ".join(problems) or None, repeats)


class LinkCounter(Protocol):
    """Counts the packets of a link (``vnetcard.ping.link_counts.LinkCounts``)."""

    def sent(self, target: Target) -> int | None:
        """Packets that have entered the link so far; None where that cannot be known for ``target``."""

    def crossed(self, target: Target, before: int | None, wanted: int) -> int | None:
        """Packets that entered the link since ``before``; it waits a moment for ``wanted`` of them."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile, 0 < ``percent`` <= 100: the smallest of ``values`` (one or more) that covers it."""
    return sorted(values)[math.ceil(percent * len(values) / 100) - 1]


def fill_pattern(size: int) -> str:
    """The ``-p`` pattern in hex: not 0, other bytes for each ``size``, an odd number; so leftovers stand out."""
    length = min((15, 13, 11, 9, 7, 5, 3), key=lambda length: size % length)
    return bytes(byte or 1 for byte in hashlib.sha256(str(size).encode()).digest()[:length]).hex()


def run_suite(
    targets: Iterable[Target],
    sizes: Iterable[int] = DEFAULT_SIZES,
    *,
    count: int = 20,
    interval: float = 0.01,
    timeout: float = 2.0,
    on_result: Callable[[PingResult], None] | None = None,
    link: LinkCounter | None = None,
) -> list[PingResult]:
    """Ping every target at every size, one after the other; ``on_result`` sees each result as it comes.

    ``count``: 1 to 30000 pings of each size.  ``interval``: 0.001 to 60 seconds between two, whole
    milliseconds, from 0.002 for ordinary users.  ``timeout``: 0.1 to 30 seconds to wait for late replies.
    One size takes at most ``count * (interval + 0.02) + timeout + 5`` seconds, unless it is repeated (``REPEATS``).  A
    ping that cannot run is a result with an ``error``, and so are pings that were answered while ``link`` counted fewer
    packets than replies.  ConfigError, before the first ping, for bad input and missing programs.
    """
    targets, sizes = list(targets), list(sizes)
    _check(targets, sizes, count=count, interval=interval, timeout=timeout)
    prefixes = {target: command(target) for target in targets}
    results: list[PingResult] = []
    for target, size in itertools.product(targets, sizes):
        one = _Size(target, size, prefixes[target], count, timeout, link)
        for repeats in range(REPEATS + 1):
            result, again = one.measure(min(interval * SLOWER**repeats, LIMITS["interval"][1]), repeats)
            if not again:
                break
        results.append(result)
        if on_result:
            on_result(result)
    return results


@dataclass(frozen=True, slots=True)
class _Size:
    """One size to one target, and what all attempts at it have in common."""

    target: Target
    size: int
    prefix: list[str]
    count: int
    timeout: float
    link: LinkCounter | None

    def measure(self, interval: float, repeats: int) -> tuple[PingResult, bool]:
        """Ping once every ``interval`` seconds; the result, and whether a longer interval may give a better one."""
        more = math.ceil((self.timeout + 1) / interval)
        options = ["-n", "-c", str(self.count + more), "-i", f"{interval:.3f}", "-W", str(math.ceil(self.timeout))]
        argv = [*self.prefix, *options, "-s", str(self.size), "-p", fill_pattern(self.size), self.target.address]
        transcript = Transcript(self.count)
        before = self.link.sent(self.target) if self.link else None
        problem = _ping(argv, transcript, self.count * (interval + PACE_SLACK) + self.timeout)
        if self.link and (answered := len(transcript.answered)):
            crossed = self.link.crossed(self.target, before, answered)
            if crossed is not None and crossed < answered:
                problem = f"only {crossed} packets crossed the link for {answered} replies: see `vnetcard status`"
        again = problem is None and transcript.lost_in_ping
        return transcript.result(self.target, self.size, problem=problem, repeats=repeats), again


def _check(targets: list[Target], sizes: list[int], **numbers: float) -> None:
    """ConfigError unless there is something to ping and every number lies within LIMITS."""
    if not targets or not sizes:
        raise ConfigError("nothing to ping: name at least one target and one size")
    for name, value in [*(("size", size) for size in sizes), *numbers.items()]:
        least, most, unit = LIMITS[name]
        if not least <= value <= most:
            raise ConfigError(f"{name} {value} is out of range ({least} to {most} {unit})", code=ErrorCode.OUT_OF_RANGE)
    if os.getuid() and numbers["interval"] < USER_INTERVAL_MIN:
        raise ConfigError(
            f"ping lets only root use an interval below {USER_INTERVAL_MIN} s: use a longer one, or sudo",
            code=ErrorCode.NOT_ROOT,
        )


def command(target: Target) -> list[str]:
    """How to start ping in the target's namespace; ConfigError when that cannot be."""
    ping = _program("ping", "iputils-ping (Debian, Ubuntu) or iputils (Fedora, Buildroot)")
    if b"iputils" not in subprocess.run([ping, "-V"], capture_output=True, check=False).stdout:
        raise ConfigError(
            f"{ping} is not the ping of iputils, whose checks are needed; install iputils-ping",
            code=ErrorCode.TOOL_MISSING,
        )
    if target.netns is None:
        return [ping]
    if not (NETNS_FOLDER / target.netns).exists():  # an absolute path stays itself
        raise ConfigError(
            f"no network namespace {target.netns}: `ip netns list` shows the names",
            code=ErrorCode.NAMESPACE_MISSING,
        )
    if target.netns.startswith("/"):
        return [_program("nsenter", "util-linux"), f"--net={target.netns}", ping]
    return [_program("ip", "iproute2"), "netns", "exec", target.netns, ping]


def _program(name: str, package: str) -> str:
    if path := shutil.which(name):
        return path
    raise ConfigError(f"{name} was not found in PATH; install {package}", code=ErrorCode.TOOL_MISSING)


def _ping(argv: list[str], transcript: Transcript, limit: float) -> str | None:
    """Run one ping for at most ``limit`` seconds into ``transcript``; what went wrong, or None."""
    deadline = time.monotonic() + limit
    with tempfile.TemporaryFile() as errors:
        plain = os.environ | {"LC_ALL": "C"}
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, env=plain)
        assert process.stdout is not None
        problem = None
        try:
            _follow(process.stdout, transcript, deadline)
            if len(transcript.answered) < transcript.count and (dropped := _dropped_by_ping(process.pid)):
                transcript.overflowed = dropped
                transcript.complain(f"ping itself dropped {dropped} replies that came at once: a longer interval helps")
            process.send_signal(signal.SIGINT)
            try:
                transcript.feed(process.communicate(timeout=KILL_AFTER)[0])
            except subprocess.TimeoutExpired:
                problem = f"ping hung and was killed after {limit + KILL_AFTER:.1f} s"
        finally:  # also when the user interrupts
            process.kill()
            process.wait()
            process.stdout.close()
        errors.seek(0)
        transcript.complain(errors.read().decode(errors="replace"))
    if transcript.transmitted is None and problem is None:
        problem = f"ping could not run (status {process.returncode})"
    return problem


def _follow(stdout: IO[bytes], transcript: Transcript, deadline: float) -> None:
    """Feed what ping prints until all is answered, ping ends or the time is up."""
    while len(transcript.answered) < transcript.count:
        left = deadline - time.monotonic()
        if left <= 0 or not readable([stdout], left) or not (output := os.read(stdout.fileno(), 65536)):
            break
        transcript.feed(output)


def _dropped_by_ping(pid: int) -> int:
    """Replies that the sockets of process ``pid`` had no room for; 0 when /proc cannot be read."""
    try:
        links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("raw", "raw6", "icmp", "icmp6")]
    except OSError:
        return 0
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if f"socket:[{row[9]}]" in links)
