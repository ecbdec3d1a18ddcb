"""Bad input is one line that says what, where and what to do; exit status 2; and nothing is left behind.

These are errors of the command line and the configuration file; those of the machine are in test_bad_surroundings.py.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.harness.programs import PROGRAMS, Traces, assert_refused, run

pytestmark = pytest.mark.root

AGENT = {
    "unknown kind of window": ("--window shmem:x", "URL 'shmem:x'", "file,", "shm,"),
    "window without a kind": ("--window vnetcard0", "URL 'vnetcard0'", "file,", "shm,"),
    "window without a place": ("--window shm:", "expected a place", "shm:NAME"),
    "window of a size only": ("--window shm:+64K", "expected a place", "shm:NAME"),
    "window too small": ("--window {shm}+8K", "window size 8 KiB", "choose 16 KiB to 1 GiB"),
    "window too large": ("--window {shm}+2G", "window size 2 GiB", "choose 16 KiB to 1 GiB"),
    "window size that is no number": ("--window {shm}+abc", "size 'abc'", "K, M or G"),
    "window size that is empty": ("--window {shm}+", "size ''", "K, M or G"),
    "name with a slash": ("--window shm:a/b", "shm:a/b", "no '/'"),
    "name too long for shared memory": (f"--window shm:{'x' * 251}", "1 to 250 bytes"),
    "queue no power of two": ("--queue-bytes 12K", "--queue-bytes 12K", "a power of two from 4K to 512M"),
    "queue too small": ("--queue-bytes 2K", "--queue-bytes 2K", "from 4K"),
    "queue no number": ("--queue-bytes lots", "--queue-bytes", "size 'lots'", "K, M or G"),
    "queue too large for the window": ("--window {shm}+64K --queue-bytes 64K", "64 KiB", "at most 16 KiB"),
    "no queues": ("--queues 0", "--queues 0", "1 to 15"),
    "queues without end": ("--queues 16", "--queues 16", "1 to 15"),
    "too many queues for the window": ("--window {shm}+16K --queues 2", "2 queue pairs", "a window of 16 KiB"),
    "queues of a port that has one": ("--port pair:x --queues 2", "port pair:x has one queue, not 2"),
    "queues beyond an engine": ("--window sim:no --queues 2", "one queue pair, not 2", "omit --queues"),
    "queues without interrupts": ("--window ivshmem:/no --queues 2", "one queue pair, not 2", "omit --queues"),
    "path that is a folder": ("--window file:{tmp}", "cannot open {tmp}", "Is a directory"),
    "path in a missing folder": ("--window file:{tmp}/no/w", "cannot open {tmp}/no/w", "No such file"),
    "path that is a device": ("--window file:/dev/zero", "/dev/zero is not a regular file"),
    "path of no storage": ("--window file:/proc/version", "/proc/version"),
    "name too long": ("--name sixteen-letters-", "'sixteen-letters-'", "1 to 15 bytes"),
    "name with a space": ("--name 'a b'", "'a b'", "without space"),
    "name with a slash in it": ("--name a/b", "'a/b'", "without space, '/'"),
    "name that is no text": ("--name \udcff", "interface name", "1 to 15 bytes"),
    "address that is none": ("--address 10.10.10.256/24", "'10.10.10.256/24'", "such as 10.10.10.1/24"),
    "address without a prefix": ("--address 10.10.10.1", "write 10.10.10.1/24"),
    "IPv6 address without a prefix": ("--address fd00::1", "write fd00::1/64"),
    "address with an impossible prefix": ("--address 10.10.10.1/33", "'10.10.10.1/33'", "such as 10.10.10.1/24"),
    "IPv6 address with a prefix of words": ("--address fd00::1/lots", "'fd00::1/lots'", "such as 10.10.10.1/24"),
    "group address": ("--address 224.0.0.1/24", "224.0.0.1", "multicast"),
    "IPv6 address with a small MTU": ("--address fd00::1/64 --mtu 1279", "--mtu 1279", "1280 at least"),
    "namespace that is missing": ("--netns vnc-no-such", "'vnc-no-such'", "ip netns add vnc-no-such"),
    "namespace by a path that is missing": ("--netns /proc/1/ns/no", "cannot open /proc/1/ns/no"),
    "namespace that is a file": ("--netns {tmp}/file", "cannot enter it"),
    "MTU 0": ("--mtu 0", "--mtu 0", "68 to 65535"),
    "MTU too large": ("--mtu 70000", "--mtu 70000", "68 to 65535"),
    "MTU no number": ("--mtu jumbo", "--mtu", "'jumbo'", "try {program} --help"),
    "MTU too large for the window": ("--window {shm}+16K --mtu 9000", "--mtu 9000", "at most 1974", "larger window"),
    "route that is none": ("--route 10.9.0.0/33", "route '10.9.0.0/33'", "10.9.0.0/33"),
    "route with host bits": ("--route 10.9.0.1/16", "route '10.9.0.1/16'", "host bits"),
    "route of nonsense": ("--route 'here be dragons'", "route", "write 'NETWORK/BITS [via GATEWAY] [metric N]'"),
    "route of two families": ("--route '10.9.0.0/16 via fd00::5'", "10.9.0.0/16", "fd00::5", "IPv4", "IPv6"),
    "gateway that is out of reach": ("--route '10.9.0.0/16 via 172.31.9.9'", "10.9.0.0/16", "172.31.9.9", "gateway"),
    "unknown option": ("--windwo shm:x", "--windwo", "try {program} --help"),
    "word too much": ("shm:x", "shm:x", "try {program} --help"),
    "shortened option": ("--win shm:x", "--win", "try {program} --help"),
    "option without its value": ("--mtu", "--mtu", "expected one argument", "try {program} --help"),
    "unknown way to wait": ("--wait patiently", "--wait", "'patiently'", "adaptive"),
    "unknown offload": ("--offload csum,tso9", "--offload 'tso9'", "auto, off, csum"),
    "unknown kind of port": ("--port tap9:x", "URL 'tap9:x'", "KIND:NAME", "tun"),
    "port and name that disagree": ("--port tun:tun1 --name tun2", "--port tun:tun1", "--name tun2", "give one"),
    "unknown log level": ("--log-level loud", "--log-level", "'loud'", "debug"),
    "configuration file that is missing": ("--config {tmp}/no.toml", "--config {tmp}/no.toml", "No such file"),
    "configuration file that is a folder": ("--config {tmp}", "--config {tmp}", "Is a directory"),
    "line feed in a value": ("--config {tmp}/a\nb", "a\\nb", "No such file"),
}
"""Name: the arguments, and what must be in the message."""

FILE = {
    "no TOML": ("window = shm:x", "not TOML", "line 1"),
    "not UTF-8": ("window = '\udcff'", "not TOML", "utf-8"),
    "unknown key": ("windwo = 'shm:x'", "unknown key 'windwo'", "known: address"),
    "key within a table": ("[agent]\nmtu = 1500", "unknown key 'agent'", "known: address"),
    "number as text": ("mtu = '1500'", "mtu takes", "'1500'"),
    "truth as number": ("mtu = true", "mtu takes", "True"),
    "text as number": ("window = 5", "window takes", "5"),
    "list of numbers": ("address = [1, 2]", "address takes", "[1, 2]"),
    "text as truth": ("persist = 'yes'", "persist takes", "'yes'"),
    "unknown way to wait": ("wait = 'patiently'", "wait 'patiently'", "adaptive"),
    "unknown log level": ("log-level = 'loud'", "log-level 'loud'", "debug"),
    "NUL in a name": ('netns = "a\\u0000b"', "netns", "NUL"),
    "impossible value": ("mtu = 7", "mtu 7", "68 to 65535"),
}
"""Name: the contents of a file, and what must be in the message beside the file's name."""

COMMAND = {
    "no command": ("", "COMMAND", "try vnetcard --help"),
    "unknown command": ("pong", "'pong'", "demo", "try vnetcard --help"),
    "ping of no address": ("ping card", "'card' is not an IP address", "NETNS@ADDRESS"),
    "ping in a missing namespace": ("ping vnc-no-such@10.0.0.1", "vnc-no-such", "ip netns list"),
    "ping of a size that is none": ("ping 127.0.0.1 --sizes big", "size 'big'", "0-2100"),
    "ping of a size too large": ("ping 127.0.0.1 --sizes 65508", "size 65508", "0-65507"),
    "ping of a range that runs backwards": ("ping 127.0.0.1 --sizes 9-3", "size 9-3", "smaller number first"),
    "ping of no size": ("ping 127.0.0.1 --sizes ,", "--sizes names no size"),
    "ping 0 times": ("ping 127.0.0.1 --count 0", "count 0", "1"),
    "ping a word of times": ("ping 127.0.0.1 --count many", "--count", "'many'", "try vnetcard ping --help"),
    "ping into a missing folder": ("ping 127.0.0.1 --junit {tmp}/no/x.xml", "--junit", "{tmp}/no"),
    "ping of an unknown window": ("ping --window nvme:x", "URL 'nvme:x'", "file,", "shm,"),
    "status without an agent": ("status --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "trace without an agent": ("trace --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "trace of a bad filter": ("trace --window {shm} 'host and'", "filter 'host and'", "syntax error"),
    "trace of no packets": ("trace --count 0", "--count", "out of range (1 to", "try vnetcard trace --help"),
    "trace of a word of packets": ("trace --sample few", "--sample", "'few'", "try vnetcard trace --help"),
    "trace of no window": ("trace --window x", "URL 'x'", "file,", "shm,"),
    "capture without an agent": ("capture --window {shm} -w {tmp}/x", "no agent for {shm}", "start vnetcard-x86"),
    "capture of a bad filter": ("capture --window {shm} tcp por 22", "filter 'tcp por 22'", "syntax error"),
    "capture at no tap": ("capture --tap cable", "--tap", "'cable'", "fifo-out"),
    "capture at no engine": ("capture --window {shm} --tap engine", "no agent for {shm}", "start vnetcard-x86"),
    "capture into a ring of what size": ("capture -w {tmp}/x --ring-files 3", "--ring-files needs --file-size"),
    "capture of files of no size": ("capture -w {tmp}/x --file-size big", "size 'big'", "K, M or G"),
    "capture in files without a name": ("capture --file-size 1M", "--file-size needs -w FILE"),
    "status of no window": ("status --window x", "URL 'x'", "file,", "shm,"),
    "show of nothing": ("show", "WHAT", "try vnetcard show --help"),
    "show of an unknown section": ("show colours", "'colours'", "runtime"),
    "show without an agent": ("show errors --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "clear without an agent": ("show errors clear --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "metrics at no address": ("metrics --listen here:80", "--listen 'here:80'", "ADDRESS:PORT"),
    "metrics at an impossible port": ("metrics --listen 70000", "--listen '70000'", "ADDRESS:PORT"),
    "metrics at a foreign address": ("metrics --listen 192.0.2.7:9817", "--listen 192.0.2.7:9817", "Cannot assign"),
    "metrics of no window": ("metrics --window x", "URL 'x'", "file,"),
    "metrics once without an agent": ("metrics --once --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "top without an agent": ("top --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "top too often": ("top --interval 0", "--interval 0.0", "0.2 to 10.0"),
    "report without an agent": ("report -o {tmp}/r.html --window {shm}", "no agent for {shm}", "start vnetcard-x86"),
    "report into a missing folder": ("report -o {tmp}/no/r --window {shm}", "--output {tmp}/no/r", "no folder"),
    "report into a folder": ("report -o {tmp} --window {shm}", "--output {tmp} cannot be written", "directory"),
    "report of an impossible stream": ("report -o {tmp}/r --seconds -1 --window {shm}", "--seconds -1", "0 to 3600"),
    "completion for an unknown shell": ("completion fish", "'fish'", "bash"),
    "completion into a file": ("completion bash -o /dev/null/x", "--output /dev/null/x", "Not a directory"),
    "man page that is none": ("man pong", "no page 'pong'", "vnetcard-ping"),
    "all man pages but one": ("man ping -o {tmp}", "omit ping"),
    "info of nothing": ("info", "URL", "try vnetcard info --help"),
    "info of a missing window": ("info {shm}", "{shm}", "No such file"),
    "info of a folder": ("info file:{tmp}", "{tmp}", "Is a directory"),
    "demo in an impossible window": ("demo --window shm:+3", "expected a place", "shm:NAME"),
    "demo in a window too small": ("demo --window {shm}+1K", "window size 1 KiB", "choose 16 KiB"),
    "demo of no pings": ("demo --count 0", "count 0", "1"),
    "bench of an unknown contender": ("bench --contenders veth,pigeon", "--contenders: no 'pigeon'", "veth, splice"),
    "bench of an unknown load": ("bench --loads freight", "--loads: no 'freight'", "tcp"),
    "bench of nothing": ("bench --loads ,", "--loads is empty"),
    "bench of no rounds": ("bench --rounds 0", "--rounds 0", "1 to 100"),
    "bench of no time": ("bench --seconds 0", "--seconds 0", "0.2 to 60"),
    "bench against no record": ("bench --check {tmp}/no", "--check", "{tmp}/no", "No such file"),
    "bench into a missing folder": ("bench --output {tmp}/no", "--output", "{tmp}/no"),
}
"""Name: the arguments of vnetcard, and what must be in the message."""


def split(line: str) -> list[str]:
    """Words of a command line; a quoted one may hold blanks."""
    return [word.strip("'") for word in re.findall(r"'[^']*'|[^ ]+", line)]


@pytest.fixture
def traces(netns_pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Traces:
    run_dir = Path(f"/tmp/vnc-run-{os.getpid()}")  # tmp_path is too long for a socket
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(run_dir))
    return Traces(netns_pair[0], run_dir, f"vnc-bad-{os.getpid()}")


def refuse(traces: Traces, tmp_path: Path, program: str, line: str, words: tuple[str, ...]) -> None:
    """Run ``program`` with the words of ``line`` and assert that it refuses, and leaves nothing."""
    places = {"tmp": tmp_path, "shm": f"shm:{traces.shm}", "program": program}
    arguments = split(line.format_map(places))
    if program != "vnetcard":
        if "--netns" not in arguments:
            arguments += ["--netns", traces.netns]
        if "--window" not in arguments:
            arguments += ["--window", f"shm:{traces.shm}"]
    before = sorted(tmp_path.rglob("*"))
    outcome = run([*PROGRAMS[program], *arguments])
    assert_refused(outcome, program, *(word.format_map(places) for word in words))
    assert traces.found() == []
    assert not traces.run_dir.exists()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", AGENT)
def test_agent_refuses(traces: Traces, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    program = ("vnetcard-x86", "vnetcard-fpga")[list(AGENT).index(name) % 2]
    line, *words = AGENT[name]
    refuse(traces, tmp_path, program, line, tuple(words))


@pytest.mark.parametrize("name", FILE)
def test_agent_refuses_configuration_file(traces: Traces, tmp_path: Path, name: str) -> None:
    text, *words = FILE[name]
    file = tmp_path / "agent.toml"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    refuse(traces, tmp_path, "vnetcard-fpga", "--config {tmp}/agent.toml", (str(file), *words))


@pytest.mark.parametrize("name", COMMAND)
def test_command_refuses(traces: Traces, tmp_path: Path, name: str) -> None:
    line, *words = COMMAND[name]
    refuse(traces, tmp_path, "vnetcard", line, tuple(words))


def test_info_about_a_file_that_is_no_window_ends_with_status_1(traces: Traces, tmp_path: Path) -> None:
    for content, words in ((b"", "too few"), (b"x" * 100, "too few"), (os.urandom(1 << 16), "no vnetcard window")):
        (tmp_path / "foreign").write_bytes(content)
        for more in ([], ["--json"]):
            outcome = run([*PROGRAMS["vnetcard"], "info", f"file:{tmp_path / 'foreign'}", *more])
            assert (outcome.status, outcome.stderr) == (1, "")
            assert words in outcome.stdout
        assert (tmp_path / "foreign").read_bytes() == content
