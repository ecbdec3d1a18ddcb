"""Another user for an agent that root starts (``--user``): who that is, and how a process becomes that user."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.terminal import capabilities as caps

ID_MAX = (1 << 32) - 2
"""The largest number of a user or group; the next one means none."""


@dataclass(frozen=True, slots=True)
class User:
    """A user with the groups that its processes have; ``name`` as it was given."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> User:
        """``NAME`` with the groups of the user database, or ``NAME:GROUP`` with that group alone; also by number."""
        name, colon, group = text.partition(":")
        if not name or (colon and not group):
            raise _bad(text, "expected NAME or NAME:GROUP")
        entry = _entry(text, name)
        uid = entry.pw_uid if entry else int(name)
        if group:
            gid = _group(text, group)
            return cls(text, uid, gid, (gid,))
        if entry is None:
            raise _bad(text, f"no user has the number {name}, so name its group: --user {name}:GROUP")
        return cls(text, uid, entry.pw_gid, tuple(sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid)))))

    @property
    def is_this_process(self) -> bool:
        """Whether the process has this user and group already."""
        return (os.geteuid(), os.getegid()) == (self.uid, self.gid)

    def become(self) -> None:
        """Change the user and groups of all threads, and keep the capabilities; ConfigError without permission."""
        try:
            with caps.kept_over_change_of_user():
                os.setgroups(self.groups)
                os.setresgid(self.gid, self.gid, self.gid)
                os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise ConfigError(
                f"--user {self.name}: cannot become that user ({error.strerror}): start as root, or without --user",
                code=ErrorCode.NOT_ROOT,
            ) from error


def _entry(text: str, name: str) -> pwd.struct_passwd | None:
    """The user's entry; None for a number without one."""
    try:
        return pwd.getpwuid(_number(text, name)) if _is_number(name) else pwd.getpwnam(name)
    except (KeyError, ValueError):
        if _is_number(name):
            return None
        raise _bad(text, f"there is no user {name!r}") from None


def _group(text: str, name: str) -> int:
    if _is_number(name):
        return _number(text, name)
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise _bad(text, f"there is no group {name!r}") from None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _number(text: str, name: str) -> int:
    if len(name) > len(str(ID_MAX)) or int(name) > ID_MAX:
        raise _bad(text, f"{name[:20]} is out of range (0 to {ID_MAX})")
    return int(name)


def _bad(text: str, why: str) -> ConfigError:
    return ConfigError(f"--user {text}: {why}", code=ErrorCode.BAD_USER)
