"""The cache of long builds, and the environment in which they run."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from vnetcard.bench import programs
from vnetcard.errors import ConfigError
from vnetcard.lab import toolchain
from vnetcard.sim import build
from vnetcard.sim.build_cache import STALE_S, BuildCache, digest

FLAGS = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "LIBRARY_PATH", "MAKEFLAGS", "MAKEFILES", "MFLAGS")
OTHERS = (
    "VERILATOR_ROOT",
    "CC",
    "CXX",
    "OBJCACHE",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "PERL5OPT",
    "VNETCARD_SANITIZE",
)


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, in a folder with a space in its name."""
    home = tmp_path / "Jane Doe"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


def cache(keep: int = 2) -> BuildCache:
    return BuildCache("things", "the things", keep)


def write(folder: Path) -> None:
    (folder / "result").write_text("built")


def ignore(_text: str) -> None:
    """Drops progress."""


def refuse(_folder: Path) -> NoReturn:
    raise AssertionError("built again")


def test_result_is_built_once(cache_home: Path) -> None:
    first = cache().get("kind", "1" * 20, write, ignore)
    assert (first / "result").read_text() == "built"
    assert first.parent == cache_home / "vnetcard/things"
    assert cache().get("kind", "1" * 20, refuse, ignore) == first


def test_failed_build_leaves_no_folder(cache_home: Path) -> None:
    def fail(folder: Path) -> NoReturn:
        write(folder)
        raise ConfigError("no compiler")

    with pytest.raises(ConfigError, match="no compiler"):
        cache().get("kind", "1" * 20, fail, ignore)
    assert [path for path in (cache_home / "vnetcard/things").iterdir() if path.is_dir()] == []


def test_results_used_longest_ago_are_removed_by_kind() -> None:
    results = {}
    for number, (kind, key) in enumerate((("a", "1"), ("a-b", "1"), ("a", "2"), ("a", "3"))):
        results[kind, key] = cache().get(kind, key * 20, write, ignore)
        os.utime(results[kind, key], (number, number))
    cache().get("a", "4" * 20, write, ignore)
    assert [key for key, path in results.items() if path.exists()] == [("a-b", "1"), ("a", "3")]


def test_remains_of_a_killed_build_are_removed_a_day_later() -> None:
    folder = cache().get("kind", "1" * 20, write, ignore).parent
    remains = [folder / ".new-abc", folder / "kind-2.lock", folder / "kind-2.log"]
    remains[0].mkdir()
    for path in remains[1:]:
        path.touch()
    for path in remains:
        os.utime(path, (time.time() - STALE_S - 9,) * 2)
    (folder / "kind-3.lock").touch()
    cache().get("kind", "4" * 20, write, ignore)
    assert [path.exists() for path in remains] == [False] * 3
    assert (folder / "kind-3.lock").exists()


def test_second_builder_waits_for_the_first() -> None:
    building, finish = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        building.set()
        assert finish.wait(30)
        write(folder)

    first = threading.Thread(target=lambda: cache().get("kind", "1" * 20, slow, ignore))
    first.start()
    assert building.wait(30)
    progress: list[str] = []

    def note(text: str) -> None:
        progress.append(text)
        finish.set()

    cache().get("kind", "1" * 20, refuse, note)
    first.join(30)
    assert progress == ["waiting for another process that builds the same\n"]


def test_cache_that_cannot_be_written_is_named_with_the_remedy(cache_home: Path) -> None:
    (cache_home / "vnetcard").parent.mkdir()
    (cache_home / "vnetcard").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot keep the things in .*/vnetcard/things .*XDG_CACHE_HOME"):
        cache().get("kind", "1" * 20, write, ignore)


def test_parts_of_a_key_do_not_run_together() -> None:
    assert digest("ab", "c") != digest("a", "bc")


@pytest.mark.parametrize("name", [*FLAGS, *OTHERS])
def test_variables_that_change_a_build_do_not_reach_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "nonsense")
    assert name not in toolchain.environment()


def test_build_finds_programs_and_python_modules_as_the_user_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = toolchain.environment(CC="gcc")
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["PYTHONPATH"] == "/somewhere"
    assert environment["CC"] == "gcc"


def test_programs_of_the_bench_are_compiled_whatever_the_shell_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = Path(os.environ["XDG_CACHE_HOME"], "include")
    headers.mkdir(parents=True)
    (headers / "stdio.h").write_text("#error the user's CPATH reached the compiler\n")
    monkeypatch.setenv("CPATH", str(headers))
    done = subprocess.run(
        ["gcc", "-E", "-x", "c", "-"], input="#include <stdio.h>", capture_output=True, text=True, check=False
    )
    assert "reached the compiler" in done.stderr, "this test shows nothing"
    programs.compiled.cache_clear()
    assert programs.compiled("rr").exists()


def test_simulator_is_built_elsewhere_when_the_cache_has_a_space_in_its_path(cache_home: Path) -> None:
    folder = cache_home / "vnetcard/sim/.new-1/complete"
    folder.mkdir(parents=True)
    with build._work_folder(folder) as work:
        assert " " not in str(work)
    assert not work.exists()


def test_simulator_is_built_in_the_cache_where_its_path_is_plain(tmp_path: Path) -> None:
    folder = tmp_path / "sim/complete"
    folder.mkdir(parents=True)
    with build._work_folder(folder) as work:
        assert work.parent == folder.parent


def test_no_plain_path_to_build_in_is_one_line(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with (
        pytest.raises(ConfigError, match="holds a space or a special character: set XDG_CACHE_HOME or TMPDIR"),
        build._work_folder(cache_home),
    ):
        pass
