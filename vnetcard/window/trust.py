"""Whose file a window is: what must hold before an agent shares memory through a file, a folder or a socket.

A file in /dev/shm or /tmp may have been put there by any user, who could then read and change every packet.  Trusted
are this process's user, root, and the user of ``?owner=USER``; the members of ``?group=GROUP`` may share the file.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable

OPTIONS: Final = ("owner", "group")
_OPTIONS: Final = re.compile(r"\?([a-z]+=[^?&/]*(?:&[a-z]+=[^?&/]*)*)$")
"""What ends a place with options: a '?' alone may be part of a file's name."""
_LINKS_MAX: Final = 40
"""Symbolic links on one path, as in the kernel (path_resolution(7))."""
_UCRED: Final = struct.Struct("iII")
_SO_PEERGROUPS: Final = 59


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who may share a window beside this process's user and root: a user id and a group id, or None."""

    owner: int | None = None
    group: int | None = None

    @property
    def users(self) -> frozenset[int]:
        """The ids of the users whose files and processes are trusted."""
        return frozenset({0, os.geteuid()} | ({self.owner} if self.owner is not None else set()))

    @property
    def mode(self) -> int:
        """The permission bits of a file or socket that this process creates."""
        return 0o600 if self.group is None else 0o660

    def hand_over(self, fd: int) -> None:
        """Give a file that this process has just created its group and its mode, whatever the umask; OSError."""
        if self.group is not None:
            os.fchown(fd, -1, self.group)
        os.fchmod(fd, self.mode)


ALONE: Final = Sharing()
"""With this process's user and root alone."""


def bare_place(place: str) -> str:
    """``place`` without ``?owner=USER&group=GROUP``."""
    return _OPTIONS.sub("", place)


def split_sharing(place: str, url: str) -> tuple[str, Sharing]:
    """``PLACE?owner=USER&group=GROUP`` taken apart; ConfigError for another option, or an unknown user or group."""
    found = _OPTIONS.search(place)
    options = dict(option.split("=", 1) for option in found[1].split("&")) if found else {}
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(
                f"window {url}: there is no option {name!r}; known are {', '.join(OPTIONS)}", code=ErrorCode.BAD_URL
            )
    ids = {name: _number(name, text, url) for name, text in options.items()}
    return bare_place(place), Sharing(ids.get("owner"), ids.get("group"))


def _number(option: str, text: str, url: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < (1 << 32) - 1:
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid if option == "owner" else grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        what = "user" if option == "owner" else "group"
        raise ConfigError(f"window {url}: there is no {what} {text!r}", code=ErrorCode.BAD_URL) from None


def user_name(uid: int) -> str:
    """The name of a user, or ``user 1234``."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def group_name(gid: int) -> str:
    """The name of a group, or ``1234``."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def refusal(url: str, why: str) -> WindowUnavailable:
    """The error for something that others may change; ``why`` ends with what to do."""
    return WindowUnavailable(f"{url}: {why}", code=ErrorCode.WINDOW_UNTRUSTED)


# --- files --------------------------------------------------------------------------------------------


def open_or_create(path: Path, sharing: Sharing) -> int:
    """A descriptor of the file, which is created if it is missing; a symbolic link is not followed.  OSError.

    An existing file is opened without O_CREAT: with fs.protected_regular the kernel refuses that in /tmp to all but
    the file's owner.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, sharing.mode)
            except FileExistsError:
                continue  # another process has created it meanwhile
        try:
            sharing.hand_over(fd)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return fd


def check_file(fd: int, path: Path, url: str, sharing: Sharing) -> None:
    """Raise WindowUnavailable unless the open file at ``path``, and the way to it, is under trusted users alone.

    It must be a regular file with one name, of a trusted user, without permissions for others, and for no group but
    that of ``sharing`` (an ACL shows in these bits, too: acl(5)).  For its folders see ``check_folders``.
    """
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode):
        raise WindowUnavailable(f"{url}: {path} is not a regular file", code=ErrorCode.BAD_URL)
    if path.is_symlink():
        raise refusal(url, f"{path} is a symbolic link: name the file itself")
    if state.st_uid not in sharing.users:
        who = user_name(state.st_uid)
        raise refusal(
            url,
            f"{path} belongs to {who}, who could read and change every packet: remove it, or trust that user with "
            f"?owner={who.removeprefix('user ')}",
        )
    mode = stat.S_IMODE(state.st_mode)
    if mode & stat.S_IRWXO:
        raise refusal(url, f"every user has permissions for {path} (mode {mode:04o}): chmod 600 {path}")
    if mode & stat.S_IRWXG and state.st_gid != sharing.group:
        group = group_name(state.st_gid)
        raise refusal(
            url,
            f"the group {group} has permissions for {path} (mode {mode:04o}): chmod 600 {path}, or trust that group "
            f"with ?group={group}",
        )
    if state.st_nlink > 1:
        raise refusal(url, f"{path} has {state.st_nlink} names (hard links), others may be elsewhere: copy the file")
    try:
        check_folders(path, url, sharing)
    except FileNotFoundError as error:
        raise WindowUnavailable(f"{url}: the folder of {path} was removed", code=ErrorCode.WINDOW_LOST) from error


def check_folders(path: Path, url: str, sharing: Sharing) -> None:
    """Raise WindowUnavailable if an untrusted user could put another file in the place of ``path``.

    Every folder from the root on, also behind symbolic links, must belong to a trusted user and be writable by no
    other, or be sticky as /tmp is.  A user namespace shows root's folders as those of a user without a number there;
    they are accepted, unless another user could have made them.  Raises FileNotFoundError where a folder is missing:
    the last agent in /run/vnetcard removes it.
    """
    try:
        walk(path.absolute().parent, url, sharing)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refusal(url, f"cannot check the folders of {path} ({error.strerror})") from error


def walk(folder: Path, url: str, sharing: Sharing) -> bool:
    """``check_folders`` up to ``folder``: whether every user may create entries in it, as in /tmp.  OSError."""
    here = Path("/")
    open_to_all = _check_folder(here, os.lstat(here), url, sharing, in_open=False)
    todo, links = list(reversed(folder.parts[1:])), 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here.parent
            open_to_all = _check_folder(here, os.lstat(here), url, sharing, in_open=False)
            continue
        entry, state = here / part, os.lstat(here / part)
        if not stat.S_ISLNK(state.st_mode):
            here = entry
            open_to_all = _check_folder(here, state, url, sharing, in_open=open_to_all)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise refusal(url, f"too many symbolic links on the way to {folder}")
        if open_to_all and state.st_uid not in sharing.users:
            raise refusal(url, f"{entry} is a symbolic link of {user_name(state.st_uid)}: name another path")
        target = entry.readlink()
        todo += reversed(target.parts[target.is_absolute() :])
        if target.is_absolute():
            here, open_to_all = Path("/"), False
    return open_to_all


def _check_folder(path: Path, state: os.stat_result, url: str, sharing: Sharing, *, in_open: bool) -> bool:
    """Whether every user may create entries in the folder, which is sticky then.  ``in_open``: so is its parent."""
    mode = stat.S_IMODE(state.st_mode)
    if state.st_uid not in sharing.users and (in_open or not _is_unmapped(state.st_uid)):
        who = user_name(state.st_uid)
        raise refusal(
            url, f"the folder {path} belongs to {who}, who could replace what is in it: name a path in another folder"
        )
    by_group = bool(mode & stat.S_IWGRP) and state.st_gid not in (0, sharing.group)
    by_all = bool(mode & stat.S_IWOTH)
    if (by_group or by_all) and not mode & stat.S_ISVTX:
        who = "every user" if by_all else f"the group {group_name(state.st_gid)}"
        raise refusal(
            url,
            f"{who} may replace what is in the folder {path} (mode {mode:04o}): chmod {'o' if by_all else 'g'}-w "
            f"{path}, or name a path in another folder",
        )
    return by_group or by_all


def _is_unmapped(uid: int) -> bool:
    """Whether ``uid`` stands for every user without a number in this user namespace (user_namespaces(7))."""
    overflow = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    if uid != overflow:
        return False
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    return not any(int(first) <= uid < int(first) + int(count) for first, _, count in ranges)


# --- processes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a UNIX socket, as the kernel names it (unix(7))."""

    pid: int
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """The process that connected, or that listened; raises OSError."""
        pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        more = b""
        with contextlib.suppress(OSError):  # a member of more groups than the buffer holds
            more = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        return cls(pid, uid, frozenset({gid, *struct.unpack(f"{len(more) // 4}I", more)}))

    def is_trusted(self, sharing: Sharing) -> bool:
        """Whether the process may share the window."""
        return self.uid in sharing.users or sharing.group in self.groups

    def __str__(self) -> str:
        return f"process {self.pid} of {user_name(self.uid)}"
