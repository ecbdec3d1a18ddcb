"""``--user``: an agent that root starts as another user, which opens again later whatever it opened at its start."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import NOBODY, X86, assert_refused, run
from tests.harness.restarts import until
from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root
CAP_NET_ADMIN = 1 << 12


@pytest.fixture
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Not made yet; below /run, where root's commands trust another user's folder."""
    path = Path(f"/run/vnc-other-user-{os.getpid()}")
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(path))
    yield path
    if path.exists():
        path.rmdir()  # fails where a socket is left


def answers(lab: Lab) -> bool:
    command = run_in(lab.namespaces[HOST], [need("ping"), "-n", "-q", "-c", "2", "-i", "0.05", "-W", "2", "10.10.10.5"])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_up(lab: Lab) -> bool:
    try:
        return all(lab.status(side)["link"]["state"] == "run" for side in (HOST, CARD))
    except VnetcardError:
        return False


def fields(pid: int) -> list[dict[str, list[str]]]:
    """/proc/PID/task/TID/status of each thread."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [{name: rest.split() for name, _, rest in (line.partition(":") for line in t.splitlines())} for t in texts]


def test_agents_run_as_another_user_and_open_their_window_again(run_dir: Path) -> None:
    group = pwd.getpwuid(NOBODY).pw_gid
    with Lab("user") as lab:
        lab.start(HOST, "--user", "nobody", "--address", "fd00::1/64", "--address", "10.10.10.1/24")
        lab.start(CARD, "--user", f"nobody:{group}")
        lab.wait_up()
        for side in (HOST, CARD):
            threads = fields(lab.agent(side).pid)
            assert len(threads) >= 4  # with the pumps
            for thread in threads:
                assert {*thread["Uid"], *thread["Gid"]} == {str(NOBODY), str(group)}
                assert set(thread["Groups"]) <= {str(group)}, thread["Name"]
                for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
                    assert int(thread[name][0], 16) & ~CAP_NET_ADMIN == 0, (thread["Name"], name)
        view = lab.status(HOST)["privileges"]
        assert (view["user"], view["capabilities"]) == ("nobody", ["CAP_NET_ADMIN"])
        assert view["landlock"] is (view["landlock_abi"] > 0)
        assert lab.status(HOST)["port"]["problems"] == []
        assert answers(lab)
        window = Path("/dev/shm", lab.url.removeprefix("shm:"))
        assert (window.stat().st_uid, window.stat().st_mode & 0o777) == (NOBODY, 0o600)
        first = window.stat().st_ino
        window.unlink()
        until(lambda: window.exists() and window.stat().st_ino != first and is_up(lab), "the window is made again")
        lab.wait_open()
        assert answers(lab)
        lab.stop(CARD)
        lab.start(CARD, "--user", "nobody", "--mtu", "1300")
        lab.wait_up()
        assert answers(lab)
        before = time.monotonic()
        assert [lab.stop(side) for side in (HOST, CARD)] == [0, 0]
        assert time.monotonic() - before < 10.0
        assert not window.exists()
        assert (list(run_dir.iterdir()), run_dir.stat().st_uid) == ([], NOBODY)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--user", "no such"], ("--user no such: there is no user 'no such'",)),
        (["--user", "nobody:no-such"], ("there is no group 'no-such'",)),
        (["--user", "4123456789"], ("no user has the number 4123456789", "--user 4123456789:GROUP")),
        (["--user", "9" * 5000 + ":0"], ("is out of range (0 to 4294967294)",)),
        (["--user", "nobody:"], ("expected NAME or NAME:GROUP",)),
        (["--user", "nobody", "--privileges", "keep"], ("exclude each other",)),
        (["--user", "nobody", "--window", "file:/root/vnc-window"], ("/root/vnc-window", "Permission denied")),
    ],
    ids=["user", "group", "number", "huge number", "no group", "keep", "window"],
)
def test_user_who_cannot_run_the_agent_is_refused_in_one_line(
    run_dir: Path, options: list[str], words: tuple[str, ...]
) -> None:
    assert_refused(run([*X86, *options]), "vnetcard-x86", *words)
    assert not Path("/root/vnc-window").exists()
    assert not run_dir.exists()


def test_folder_of_roots_agents_is_not_given_away(run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700)
    assert_refused(run([*X86, "--user", "nobody"]), "vnetcard-x86", "belongs to user root", "set VNETCARD_RUN_DIR")
    assert run_dir.stat().st_uid == 0


def test_ordinary_user_cannot_become_another(run_dir: Path) -> None:
    command = [need("setpriv"), "--bounding-set=-setuid,-setgid", "--inh-caps=-all", *X86, "--user", "nobody"]
    assert_refused(run(command), "vnetcard-x86", "cannot become that user", "start as root")
    assert not run_dir.exists()
