"""Whose window: a file, a folder or a link that another user could have put there is refused and stays as it is."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.programs import NOBODY, as_nobody, home_of_nobody, run
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import open_window, read_window, without_options
from vnetcard.window.trust import group_name

SIZE = 64 << 10
JOIN = """
import sys
from vnetcard.ring import layout as L
from vnetcard.window import open_window
window = open_window(sys.argv[1], side=L.CARD)
print(window.geometry.instance)
window.close()
"""


@pytest.fixture
def shm() -> Iterator[Path]:
    path = Path("/dev/shm", f"vnc-owner-{uuid.uuid4().hex[:12]}")
    yield path
    path.unlink(missing_ok=True)


def refused(url: str) -> WindowUnavailable:
    with pytest.raises(WindowUnavailable) as caught:
        open_window(url, side=L.HOST).close()
    return caught.value


def plant(path: Path, mode: int, *, uid: int = -1, gid: int = -1) -> Path:
    """A blank file, as a window of an agent that was killed."""
    path.write_bytes(bytes(SIZE))
    path.chmod(mode)
    os.chown(path, uid, gid)
    return path


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o666, 0o600])
def test_file_that_another_user_has_put_there_is_refused(shm: Path, tmp_path: Path, mode: int) -> None:
    for url, path in ((f"shm:{shm.name}", shm), (f"file:{tmp_path}/window", tmp_path / "window")):
        plant(path, mode, uid=NOBODY)
        error = refused(url)
        assert error.code == ErrorCode.WINDOW_UNTRUSTED and "belongs to user nobody" in str(error)
        assert path.read_bytes() == bytes(SIZE)
        plant(path, 0o600, uid=NOBODY)
        open_window(f"{url}?owner=nobody", side=L.HOST).close()


@pytest.mark.parametrize("mode", [0o666, 0o604, 0o602, 0o660, 0o640])
def test_own_file_is_refused_while_others_have_permissions(shm: Path, mode: int) -> None:
    plant(shm, mode)
    error = refused(f"shm:{shm.name}")
    assert error.code == ErrorCode.WINDOW_UNTRUSTED and f"chmod 600 {shm}" in str(error)
    assert shm.read_bytes() == bytes(SIZE)
    shm.chmod(0o600)
    open_window(f"shm:{shm.name}", side=L.HOST).close()


def test_only_the_named_group_may_have_permissions(tmp_path: Path) -> None:
    path = plant(tmp_path / "window", 0o660, gid=os.getegid())
    assert refused(f"file:{path}?group={os.getegid() + 1}").code == ErrorCode.WINDOW_UNTRUSTED
    open_window(f"file:{path}?group={os.getegid()}", side=L.HOST).close()


@pytest.mark.parametrize("dangling", [False, True])
def test_symbolic_link_is_not_followed(shm: Path, tmp_path: Path, dangling: bool) -> None:
    target = tmp_path / "target"
    if not dangling:
        plant(target, 0o600)
    for url, path in ((f"shm:{shm.name}", shm), (f"file:{tmp_path}/window", tmp_path / "window")):
        path.symlink_to(target)
        error = refused(url)
        assert error.code == ErrorCode.WINDOW_UNTRUSTED and "symbolic link" in str(error)
    assert target.exists() is not dangling
    assert dangling or target.read_bytes() == bytes(SIZE)


def test_hard_link_and_fifo_are_refused(tmp_path: Path) -> None:
    path = plant(tmp_path / "window", 0o600)
    (tmp_path / "other").hardlink_to(path)
    assert refused(f"file:{path}").code == ErrorCode.WINDOW_UNTRUSTED
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert refused(f"file:{tmp_path}/fifo").code == ErrorCode.BAD_URL


def _nobodys(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


def _group_writable(path: Path) -> None:
    os.chown(path, -1, NOBODY)
    path.chmod(0o775)


FOLDERS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "writable by all": (lambda path: path.chmod(0o777), "every user may replace"),
    "writable by a group": (_group_writable, f"the group {group_name(NOBODY)} may"),
    "another user's": (_nobodys, "belongs to user nobody"),
    "sticky, as /tmp": (lambda path: path.chmod(0o1777), None),
    "this user's": (lambda path: path.chmod(0o755), None),
}


@pytest.mark.root
@pytest.mark.parametrize("depth", ["", "inner/"])
@pytest.mark.parametrize("what", FOLDERS)
def test_folder_in_which_others_could_replace_the_file_is_refused(tmp_path: Path, what: str, depth: str) -> None:
    folder = tmp_path / "folder"
    (folder / depth).mkdir(parents=True)
    prepare, why = FOLDERS[what]
    prepare(folder)
    url = f"file:{folder}/{depth}window+64K"
    if why is None:
        open_window(url, side=L.HOST).close()
        return
    error = refused(url)
    assert error.code == ErrorCode.WINDOW_UNTRUSTED and why in str(error) and str(folder) in str(error)


@pytest.mark.root
def test_link_to_a_folder_counts_as_its_maker_and_its_target(tmp_path: Path) -> None:
    good, bad, shared = (tmp_path / name for name in ("good", "bad", "shared"))
    for folder in (good, bad, shared):
        folder.mkdir()
    bad.chmod(0o777)
    shared.chmod(0o1777)
    for name, target, maker in (("mine", good, 0), ("to-bad", bad, 0), ("planted", good, NOBODY)):
        (shared / name).symlink_to(target)
        os.chown(shared / name, maker, maker, follow_symlinks=False)
    (tmp_path / "circle").symlink_to("circle")
    open_window(f"file:{shared}/mine/../good/window+64K", side=L.HOST).close()
    assert "every user may replace" in str(refused(f"file:{shared}/to-bad/window+64K"))
    assert "symbolic link of user nobody" in str(refused(f"file:{shared}/planted/window+64K"))
    assert refused(f"file:{tmp_path}/circle/window+64K")


@pytest.mark.root
def test_two_users_share_a_window_that_both_name(shm: Path) -> None:
    url = f"shm:{shm.name}?group={NOBODY}+64K"
    with contextlib.closing(open_window(url, side=L.HOST)) as window:
        assert window.url == f"shm:{shm.name}"
        assert (stat.S_IMODE(shm.stat().st_mode), shm.stat().st_gid) == (0o660, NOBODY)
        done = run(as_nobody([sys.executable, "-c", JOIN, url]))
        assert (done.status, done.stdout.strip()) == (0, str(window.geometry.instance)), done.stderr
        assert len(read_window(f"shm:{shm.name}")) == SIZE
        assert shm.exists()


@pytest.mark.root
def test_root_may_hand_a_file_to_a_user() -> None:
    with home_of_nobody() as home:
        path = plant(home / "window", 0o660, gid=NOBODY)
        done = run(as_nobody([sys.executable, "-c", JOIN, f"file:{path}?group={NOBODY}"]))
        assert done.status == 0, done.stderr
        assert refused(f"file:{path}").code == ErrorCode.WINDOW_UNTRUSTED, "the folder is nobody's"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("owner=no-such-user", "no user 'no-such-user'"),
        ("group=no-such", "no group 'no-such'"),
        ("onwer=root", "no option 'onwer'"),
    ],
)
def test_unknown_option_user_or_group_is_bad_input(tmp_path: Path, options: str, words: str) -> None:
    for url in (f"file:{tmp_path}/window?{options}", f"shm:vnc-no-window?{options}"):
        with pytest.raises(ConfigError, match=words) as caught:
            open_window(url, side=L.HOST)
        assert caught.value.code == ErrorCode.BAD_URL
    assert not list(tmp_path.iterdir())


def test_question_mark_without_option_is_part_of_a_name(tmp_path: Path) -> None:
    with contextlib.closing(open_window(f"file:{tmp_path}/a?b+64K", side=L.HOST)):
        assert (tmp_path / "a?b").exists()
    assert without_options("file:/tmp/a?b?owner=root&group=0") == "file:/tmp/a?b"


def test_permissions_of_a_file_of_another_program_are_not_objected_to(tmp_path: Path) -> None:
    """A user who names /etc/passwd by mistake is not advised to change its mode."""
    path = tmp_path / "letter"
    path.write_bytes(b"Dear reader" * 9000)
    path.chmod(0o644)
    with pytest.raises(LayoutMismatch, match="no vnetcard window here"):
        open_window(f"file:{path}", side=L.HOST)
