"""What an agent may still do once it is set up: least privilege, also for one that root has started by hand.

``Privileges`` is made before the first thread and the window, and settled once the interface is configured.
What is kept is what the agent may need later: to configure its interface again, and to open its window again.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path
from typing import Any, Final

from vnetcard.agent import file_access, seccomp
from vnetcard.agent.config import Config
from vnetcard.agent.user import User
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.terminal import capabilities as caps
from vnetcard.terminal import landlock
from vnetcard.window import WindowUrl, run_folder
from vnetcard.window.trust import split_sharing

_SHARED: Final = ("shm", "file", "memfd")
"""Kinds of windows that may be shared with another user (``?owner=USER&group=GROUP``)."""


class Privileges:
    """What the process of an agent with ``config`` holds."""

    def __init__(self, config: Config) -> None:
        """Comes before any thread: from now on no program that this process starts can gain a privilege; OSError.

        With ``--user`` the process becomes that user now, so that it can open again later what it opens now.
        """
        self._config = config
        self._landlock = landlock.abi()
        self._made: Path | None = None
        if config.privileges != "keep":
            caps.no_new_privileges()
        if config.user is not None and not config.user.is_this_process:
            self._become(config.user)
        elif os.geteuid() == 0:
            with contextlib.suppress(OSError, ConfigError):  # the control socket explains it
                run_folder.take_back()

    def _become(self, user: User) -> None:
        """With all capabilities until the set-up is done, but with the user's permissions for files."""
        file_access.load_modules(self._config)
        where = run_folder.folder()
        if os.geteuid() == 0:
            try:
                if run_folder.prepare(user.uid, user.gid):
                    self._made = where
            except OSError as error:
                raise ConfigError(
                    f"--user {user.name}: control socket: cannot make {where} ({error.strerror}); set VNETCARD_RUN_DIR",
                    code=ErrorCode.CONTROL_SOCKET,
                ) from error
        os.environ["VNETCARD_RUN_DIR"] = str(where)
        try:
            user.become()
        except ConfigError:
            self.close()
            raise
        caps.lower(caps.FILE_POWERS)

    def close(self) -> None:
        """Remove the folder that was made for the user, while this process may: where the set-up has failed."""
        if self._made is not None:
            with contextlib.suppress(OSError), caps.raised(caps.FILE_POWERS):
                self._made.rmdir()

    def for_port(self) -> contextlib.AbstractContextManager[None]:
        """In this context the TUN is opened, once and for all: root may, whatever the permissions of the user are."""
        return contextlib.nullcontext() if self._config.user is None else caps.raised(caps.FILE_POWERS)

    def settle(self) -> None:
        """After the set-up: give up what is not needed any more.  Threads that exist have ``shed`` theirs."""
        if self._config.privileges != "keep":
            with contextlib.suppress(OSError):  # a filter of another program forbids it; ``status`` shows what is left
                join_group(self._config.window)
                caps.keep(caps.bits_of(needed(self._config)))
            with contextlib.suppress(OSError):  # a kernel without it, which ``status`` shows
                if (rules := file_access.rules(self._config)) is not None:
                    landlock.restrict(rules)
            with contextlib.suppress(OSError):
                seccomp.install(allowed_calls(self._config))

    def view(self) -> dict[str, Any]:
        """For ``status``: what the threads of this process hold together."""
        held, uid = caps.held(), os.geteuid()
        return {
            "uid": uid,
            "user": _user_name(uid),
            "gid": os.getegid(),
            "capabilities": caps.names_of(held["capabilities"]),
            "no_new_privs": bool(held["no_new_privs"]),
            "seccomp": held["seccomp"] == 2,
            "landlock": landlock.is_restricted(),
            "landlock_abi": self._landlock,
        }


def needed(config: Config) -> set[str]:
    """The capabilities, without ``CAP_``, that an agent needs after its set-up; some only to open its window again."""
    wanted: set[str] = set()
    if config.port.startswith("packet:"):
        wanted.add("NET_RAW")  # sockets of several queues, opened again after the interface was deleted
    elif not config.port.startswith("pair:"):
        wanted.add("NET_ADMIN")
    if config.privileges == "follow":
        wanted.add("SYS_ADMIN")  # setns(2)
    if config.scheduling.takes_a_capability():
        wanted.add("SYS_NICE")
    found = _for_window(config.window)
    if config.user is not None:  # what takes the permissions of root's files as well
        found -= {"DAC_OVERRIDE", "SYS_ADMIN"}
    return wanted | found


def allowed_calls(config: Config) -> list[str]:
    """The system calls, in the order of the table."""
    return [name for name in seccomp.NUMBERS if config.privileges == "follow" or name != seccomp.ONLY_TO_FOLLOW]


def _for_window(url: str) -> set[str]:
    window = WindowUrl.parse(url)
    wanted = set()
    if window.kind in _SHARED:
        owner = split_sharing(window.place, url)[1].owner
        if owner not in (None, os.geteuid()):
            wanted.add("DAC_OVERRIDE")  # that user's file need not be open to this process
    elif window.kind == "ivshmem" and _is_foreign(window.place.partition("?")[0]):
        wanted.add("DAC_OVERRIDE")
    if window.kind == "mem":
        wanted.add("SYS_RAWIO")  # open(2) of /dev/mem
    if window.kind == "pci" or "engine=pci:" in window.place:
        wanted.add("SYS_ADMIN")  # a write to the attribute ``enable``: memory decoding
    if window.kind == "vfio":
        wanted.add("IPC_LOCK")  # pages for DMA beyond RLIMIT_MEMLOCK
        if any(Path("/dev/vfio").rglob("noiommu-*")):
            wanted.add("SYS_RAWIO")
    return wanted


def _is_foreign(path: str) -> bool:
    try:
        return Path(path).stat().st_uid != os.geteuid()
    except OSError:
        return False


def join_group(url: str) -> None:
    """Become a member of the group of ``?group=GROUP``, so that its files can be opened later too."""
    window = WindowUrl.parse(url)
    group = split_sharing(window.place, url)[1].group if window.kind in _SHARED else None
    if group is not None and group not in (os.getegid(), *os.getgroups()) and os.geteuid() == 0:
        os.setgroups([*os.getgroups(), group])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
