"""``vnetcard-sim`` as a command: what it builds, says and refuses, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.needs import need_simulator, skip_or_fail
from tests.harness.programs import Outcome, run, started
from tests.sim.cards import opened, send, wait_until
from tests.sim.simulation import COMMAND, new_name, objects, simulated
from tests.sim.test_sim_bus import engine, halted
from vnetcard.ring import layout as L
from vnetcard.sim import build
from vnetcard.sim.wrapper import SCOPE

ROOT = Path(__file__).resolve().parents[2]

hdl = pytest.mark.hdl
slow = pytest.mark.slow


def refused(*options: str, env: dict[str, str] | None = None) -> str:
    """The one line with which it refuses ``options``."""
    outcome: Outcome = run([*COMMAND, *options], env=env)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("vnetcard-sim: error: ")
    assert outcome.stderr.count("\n") == 1
    return outcome.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--data-width", "96"], "invalid choice: "),
        (["--memory", "3M"], "--memory 3M is invalid: expected a power of two from 16K to 1G"),
        (["--memory", "2G"], "--memory 2G is invalid"),
        (["--memory", "much"], "'much'"),
        (["a/b"], "invalid name of a simulation 'a/b'"),
        (["x" * 300], "invalid name of a simulation"),
        (["two words"], "invalid name of a simulation"),
        (["--pcie-latency-ns", "-1"], "--pcie-latency-ns -1 is out of range (0 to 1e+09)"),
        (["--pcie-gbps", "0"], "--pcie-gbps 0 is out of range"),
        (["--pcie-gbps", "nan"], "--pcie-gbps nan is out of range"),
        (["--inject", "host-read-slverr"], "--inject 'host-read-slverr' is invalid"),
        (["--inject", "host-read-slverr@0"], "is invalid"),
        (["--inject", "moon-read-slverr@1"], "is invalid"),
        (["--trace", "x.vcd"], "--trace x.vcd: the name must end with .fst"),
        (["--trace", "/nowhere/at/all/x.fst"], "no folder /nowhere/at/all"),
        (["--trace-from", "3us"], "--trace-from needs --trace FILE.fst"),
        (["--trace", "x.fst", "--trace-from", "3 parsecs"], "--trace-from '3 parsecs' is invalid"),
        (["--trace", "x.fst", "--trace-from", "3us", "--trace-to", "2us"], "--trace-to 2us must be later than"),
        (["--trace", "x.fst", "--trace-on", "error", "--trace-to", "2us"], "chooses the span itself"),
        (["--trace", "x.fst", "--trace-cycles", "9"], "--trace-cycles needs --trace-on error"),
        (["--remove-after", "-1"], "--remove-after -1 is out of range"),
        (["--seed", "-1"], "--seed -1 is out of range"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_invalid_option_is_refused_in_one_line(options: Sequence[str], why: str) -> None:
    assert why in refused(*options)


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    assert "g++ is missing" in refused(env={"PATH": str(tools(tmp_path, without="g++"))})


def tools(folder: Path, without: str) -> Path:
    """A PATH with the tools that a build needs, all but one."""
    for tool in ("perl", "make", "g++"):
        if tool != without:
            (folder / tool).symlink_to(shutil.which(tool) or "/bin/true")
    return folder


@hdl
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    need_simulator()
    (tmp_path / "vnetcard").write_text("in the way")
    assert f"cannot keep the simulator in {tmp_path}/vnetcard/sim" in refused(env={"XDG_CACHE_HOME": str(tmp_path)})


@hdl
@slow
def test_a_failed_build_shows_the_last_lines_and_names_the_log(tmp_path: Path) -> None:
    need_simulator()
    rtl = tmp_path / "rtl"
    shutil.copytree(ROOT / "hdl/rtl", rtl)
    with (rtl / "vnc_pkg.sv").open("a") as file:
        file.write("this is no SystemVerilog\n")
    outcome = run([*COMMAND, new_name()], env={"VNETCARD_RTL": str(rtl), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert outcome.status == 1
    assert "syntax error" in outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("vnetcard-sim: error: the simulator was not built: verilator failed; see ")
    assert "syntax error" in Path(last.rpartition(" ")[2]).read_text()
    assert not list((tmp_path / "cache/vnetcard/sim").glob("*/"))


@hdl
@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_no_compiler_and_no_folder(tmp_path: Path, number: int) -> None:
    need_simulator()
    with started([*COMMAND, new_name()], env={"XDG_CACHE_HOME": str(tmp_path)}) as process:
        assert process.stderr is not None
        said = ""
        while "compiling" not in said:
            said += process.stderr.read(1)
        wait_until("a compiler runs", lambda: compilers(tmp_path))
        process.send_signal(number)
        assert process.wait(30) == 130
        assert process.stderr.read().endswith(f"vnetcard-sim: interrupted by {signal.Signals(number).name}\n")
    assert compilers(tmp_path) == []
    assert [path for path in (tmp_path / "vnetcard/sim").iterdir() if path.is_dir()] == []


def compilers(cache: Path) -> list[str]:
    """Processes that have to do with ``cache``, but for the simulator itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(cache) in command:
                found.append(command)
    return found


@hdl
@slow
def test_interrupted_profiling_run_removes_its_shared_memory() -> None:
    need_simulator()
    library = build.library(build.DEFAULT_WIDTH, trace=False, progress=lambda _: None)
    with started(
        [sys.executable, "-m", "vnetcard.sim.pgo_workload", str(library), str(build.DEFAULT_WIDTH)]
    ) as process:
        name = f"training-{process.pid}"
        wait_until("its memories are there", lambda: len(objects(name)) == 3)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert objects(name) == []


@hdl
@slow
@pytest.mark.campaign
def test_two_simulators_that_start_at_once_build_once(tmp_path: Path) -> None:
    """In a folder with a space in its name, and whatever the shell exports."""
    need_simulator()
    nonsense = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "MAKEFLAGS", "VERILATOR_ROOT")
    env = {"XDG_CACHE_HOME": str(tmp_path / "Jane Doe")} | dict.fromkeys(nonsense, "-nonsense")
    names = [new_name(), new_name()]
    with started([*COMMAND, names[0]], env=env) as one, started([*COMMAND, names[1]], env=env) as two:
        for process in (one, two):
            assert process.stdout is not None
            assert " ready: " in process.stdout.readline()
            process.terminate()
        said = [process.communicate(timeout=60)[1] for process in (one, two)]
    assert sum("compiling" in text and "done in" in text for text in said) == 1
    assert sum("waiting for another process" in text for text in said) == 1
    assert [objects(name) for name in names] == [[], []]


@hdl
def test_second_simulation_of_a_name_is_refused_with_the_pid() -> None:
    with simulated() as simulation:
        said = refused(simulation.name)
        assert f"simulation {simulation.name} is run by process {simulation.process.pid}" in said
        assert len(objects(simulation.name)) == 3, "and the first one keeps its objects"


@hdl
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_its_objects_are_gone(number: int) -> None:
    with simulated() as simulation:
        assert len(objects(simulation.name)) == 3
        simulation.stop(number)
        assert objects(simulation.name) == []


@hdl
def test_systemd_is_notified_of_ready_and_stopping(tmp_path: Path) -> None:
    need_simulator()
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60)
        with started([*COMMAND, new_name()], env={"NOTIFY_SOCKET": path}) as process:
            assert f"READY=1\nMAINPID={process.pid}\n" in manager.recv(4096).decode()
            process.terminate()
            assert manager.recv(4096) == b"STOPPING=1"
            assert process.wait(30) == 0


@hdl
def test_stats_are_a_line_per_second_and_a_table() -> None:
    need_simulator()
    name = new_name()
    with started([*COMMAND, name, "--stats"]) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"vnetcard-sim ready: {name}, 512 bit, 2 x 8 MiB, 250 MHz (pid ")
        line = process.stdout.readline()
        assert "Mcycles/s" in line and "idle" in line and "doorbells" in line
        process.terminate()
        table, said = process.communicate(timeout=30)
    assert {"read_bytes", "publications", "interrupts"} <= {row.partition(" ")[0] for row in table.splitlines()}
    assert said == ""


@hdl
def test_the_totals_count_what_happened() -> None:
    with engine() as (simulation, cards):
        prod = send(cards, L.HOST, 0, bytes(4096))
        cards[1].ring("rx_cons", prod)
        wait_until("cons arrives", lambda: cards[0].line("h2c_cons") == prod)
        totals = simulation.stop()
    assert totals["sides"]["host"]["read_bytes"] >= 4096
    assert totals["sides"]["card"]["write_bytes"] >= 4096
    assert totals["engine"]["h2c"]["publications"] == 1
    assert totals["engine"]["c2h"]["publications"] == 0
    assert totals["sides"]["host"]["doorbells"] == totals["sides"]["card"]["doorbells"] == 1
    assert totals["sides"]["card"]["interrupts"] >= 1
    assert (totals["sides"]["host"]["errors"], totals["removals"]) == (0, 0)


# --- traces ------------------------------------------------------------------------------------------


def changes(path: Path, signal_name: str) -> list[tuple[int, int]]:
    """(picoseconds, value) of a signal in an FST."""
    if importlib.util.find_spec("pywellen") is None:
        skip_or_fail("pywellen is missing: scripts/venv.sh test")
    import pywellen

    signals = {var.full_name: var for var in pywellen.Waveform(path=str(path)).all_vars()}
    return list(signals[signal_name].tv)


@hdl
@slow
def test_a_trace_shows_the_signals_of_the_span_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "span.fst"
    with engine("--data-width", "64", "--trace", str(path), "--trace-from", "1000", "--trace-to", "400us") as (
        _,
        cards,
    ):
        prod = 0
        while cards[0].read("cycles_lo") < 120_000:
            prod = send(cards, L.HOST, prod, bytes(L.LINE))
            cards[1].ring("rx_cons", prod)
            wait_until("cons arrives", lambda: cards[0].line("h2c_cons") == prod)  # noqa: B023
    clock = changes(path, "TOP.clk_i")
    assert clock[0][0] == 1000 * 4000
    assert 400_000_000 - 4000 <= clock[-1][0] < 400_000_000
    assert sum(value for _, value in clock) == 99_000
    assert any(value for _, value in changes(path, f"{SCOPE}.m_axi_host_arvalid"))


@hdl
@slow
def test_a_trace_around_an_error_keeps_what_led_to_it(tmp_path: Path) -> None:
    path = tmp_path / "error.fst"
    options = ["--data-width", "64", "--trace", str(path), "--trace-on", "error", "--trace-cycles", "3000"]
    with engine(*options, "--inject", "host-read-slverr@60") as (_, cards):
        prod = 0
        while not halted(cards):
            prod += L.LINE
            cards[0].ring("tx_prod", prod)
            cards[1].ring("rx_cons", cards[1].line("h2c_prod"))
        began = cards[0].read("cycles_lo")
        wait_until("some cycles pass", lambda: cards[0].read("cycles_lo") - began > 4000)
    responses = [at for at, value in changes(path, f"{SCOPE}.m_axi_host_rresp") if value == 2]
    assert len(responses) == 1
    clock = [at for at, _ in changes(path, "TOP.clk_i")]
    after = (clock[-1] - responses[0]) // 4000
    assert 2900 <= after <= 3000, "3000 cycles after the error, less its latency"
    assert (clock[-1] - clock[0]) // 4000 <= 6001, "and at most 3000 before it"
    before = path.with_name("error-before.fst")
    first = changes(before, "TOP.clk_i")[0][0] if before.exists() else clock[0]
    assert first < responses[0]


@hdl
def test_a_trace_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    need_simulator()
    (tmp_path / "x.fst").mkdir()
    assert "x.fst: cannot write it" in refused("--trace", str(tmp_path / "x.fst"))


@hdl
def test_objects_of_a_killed_simulation_are_readable_by_their_owner_only() -> None:
    with simulated() as simulation, opened(simulation.name):
        for name in objects(simulation.name):
            assert Path("/dev/shm", name).stat().st_mode & 0o777 == 0o600


def test_the_command_is_installed() -> None:
    program = shutil.which("vnetcard-sim", path=Path(COMMAND[0]).parent)
    assert program is not None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("vnetcard ")
