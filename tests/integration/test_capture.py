"""``vnetcard capture`` on two agents, read back by tshark."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, Outcome, as_nobody, run, started
from tests.harness.traffic import all_dropped, pinging
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("capture") as lab:
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        yield lab


def capture(lab: Lab, *options: object) -> Outcome:
    with pinging(lab):
        return run([*VNETCARD, "capture", "--window", lab.url, *map(str, options)])


def tshark(path: Path, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """The fields of each packet as tshark sees them."""
    wanted = [word for field in fields for word in ("-e", field)]
    command = [need("tshark"), "-r", str(path), *options, "-T", "fields", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_every_tap_point_is_an_interface_with_direction_epochs_and_record(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    points = [word for point in ("port", "fifo-in", "fifo-out") for word in ("--tap", point)]
    done = capture(lab, "-w", file, *points, "--count", 32, "icmp")
    assert (done.status, done.stdout, done.stderr) == (0, "", "vnetcard: 32 packets, 0 missed\n")
    seen = tshark(file, "frame.interface_name", "frame.packet_flags_direction", "frame.comment", "icmp.type")
    assert {row[0] for row in seen} == {
        f"{side}-{point}" for side in ("host", "card") for point in ("port", "fifo-in", "fifo-out")
    }
    host, card = (lab.status(side)["link"]["epoch"] for side in (HOST, CARD))
    for name, direction, comment, kind in seen:
        out = name in {"host-fifo-in", "card-fifo-in"} or (name == "host-port") == (kind == "8")
        assert int(direction, 0) == (2 if out and not name.endswith("-out") else 1), (name, kind)
        assert f"{'h2c' if kind == '8' else 'c2h'} epochs host {host:08x} card {card:08x}, record " in comment


def test_times_are_wall_clock_times_in_order(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "times.pcapng"
    began = time.time()
    capture(lab, "-w", file, "--count", 50)
    stamps = [float(row[0]) for row in tshark(file, "frame.time_epoch")]
    assert stamps == sorted(stamps)
    assert began - 1 < stamps[0] and stamps[-1] < time.time() + 1


def test_dropped_packet_carries_its_reason(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "drops.pcapng"
    with all_dropped(lab, CARD):
        capture(lab, "-w", file, "--side", "card", "--count", 3, "icmp")
    assert [row[0].split(",")[-1] for row in tshark(file, "frame.comment")] == ["dropped: drop_source"] * 3


@pytest.mark.parametrize("how", ["-i", "-r"])
def test_stream_is_read_live_by_tshark(lab: Lab, how: str) -> None:
    """As `vnetcard capture -w - | wireshark -k -i -`: the packets are there while the capture goes on."""
    reading = [need("tshark"), "-l", "-n", how, "-", "-c", "5"]
    with pinging(lab), started([*VNETCARD, "capture", "--window", lab.url, "-w", "-"]) as capturing:
        done = subprocess.run(reading, stdin=capturing.stdout, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.count("Echo (ping) re") == 5, done.stderr
        assert capturing.stdout is not None
        capturing.stdout.close()
        assert capturing.wait(20) == 0


def test_ring_of_files_keeps_the_last_ones_and_each_is_whole(lab: Lab, tmp_path: Path) -> None:
    done = capture(lab, "-w", tmp_path / "ring.pcapng", "--file-size", "4K", "--ring-files", 3, "--count", 200)
    assert done.status == 0
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3 and files[-1].name > "ring_00004"
    numbers = [row[0] for file in files for row in tshark(file, "icmp.seq")]
    assert len(numbers) > 20
    assert all(file.stat().st_size < 5000 for file in files)


def test_super_packets_are_whole_or_segmented_as_asked(lab: Lab, tmp_path: Path) -> None:
    sums = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", "tcp.len>0 && tcp.dstport==5201")
    lengths: dict[str, list[int]] = {}
    for how in ((), ("--segment",)):
        file = tmp_path / f"gso{len(how)}.pcapng"
        with started([*VNETCARD, "capture", "--window", lab.url, "--side", "host", "-w", str(file), *how]) as process:
            _wait_for_header(file)
            _send(lab)
            process.terminate()
            assert process.wait(30) == 0
        rows = tshark(file, "ip.len", "tcp.checksum.status", "ip.checksum.status", options=sums)
        lengths["".join(how)] = [int(row[0]) for row in rows]
        if how:
            assert {tuple(row[1:]) for row in rows} == {("1", "1")}
    assert max(lengths[""]) > 10_000
    assert max(lengths["--segment"]) <= 1500 and len(lengths["--segment"]) > 3 * len(lengths[""])


def _send(lab: Lab) -> None:
    """Two megabytes of TCP from host to card."""
    server = run_in(lab.namespaces[CARD], [need("iperf3"), "-s", "-1", "--forceflush"])
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        while "listening" not in serving.stdout.readline():
            pass
        client = run_in(lab.namespaces[HOST], ["iperf3", "-c", "10.10.10.5", "-n", "2M"])
        subprocess.run(client, stdout=subprocess.DEVNULL, check=True, timeout=60)
        serving.stdout.read()


def _wait_for_header(file: Path) -> None:
    deadline = time.monotonic() + 20
    while not file.exists() or file.stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_without_a_file(lab: Lab) -> None:
    shown = capture(lab, "--count", 4, "icmp")
    assert (shown.status, shown.stderr) == (0, "vnetcard: 4 packets, 0 missed\n")
    assert len(shown.stdout.splitlines()) == 4
    assert "host port      out    84 bytes  10.10.10.1 > 10.10.10.5: ICMP echo request, seq " in shown.stdout


def test_capture_that_is_not_read_slows_no_packet(lab: Lab) -> None:
    """The reader is stopped, as a Wireshark that hangs: the events that it misses are counted, and pings go on."""
    with started([*VNETCARD, "capture", "--window", lab.url, "-w", "-", "--snaplen", "65600"]) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1)
        busy = run_in(
            lab.namespaces[HOST], [need("ping"), "-q", "-A", "-W", "20", "-c", "1500", "-s", "20000", "10.10.10.5"]
        )
        done = subprocess.run(busy, capture_output=True, text=True, check=False, timeout=60)
        assert " 0% packet loss" in done.stdout
        process.stdout.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-w", "/no/such/folder/x.pcapng"), "-w /no/such/folder/x.pcapng cannot be written: No such file"),
        (("-w", "/"), "-w / cannot be written: Is a directory"),
        (("--tap", "engine"), "--tap engine: shm:"),
    ],
)
def test_what_cannot_be_captured_is_one_line(lab: Lab, options: tuple[str, ...], words: str) -> None:
    done = run([*VNETCARD, "capture", "--window", lab.url, *options])
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vnetcard: error: {words}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["trace", "capture"])
def test_user_without_permission_gets_one_line(command: str) -> None:
    with tempfile.TemporaryDirectory(prefix="vnc-run-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VNETCARD_RUN_DIR", folder)
        Path(folder).chmod(0o755)
        with Lab(f"{command}er") as lab:
            lab.start(HOST)
            done = run(as_nobody([*VNETCARD, command, "--window", lab.url, "--count", "1"]))
            assert (done.status, done.stdout) == (2, "")
            assert "no permission for" in done.stderr and done.stderr.count("\n") == 1
