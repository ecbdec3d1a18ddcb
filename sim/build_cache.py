"""Results of long builds, kept in the user's cache: a folder per result, complete or absent.

A folder is named after a hash of everything that goes into it, so it is never out of date.  A process that builds
holds a lock; a second one that needs the same result waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

Progress = Callable[[str], object]
"""Gets the progress of a build, in pieces of a line."""

STALE_S: Final = 86400
"""Seconds after which the remains of a killed build are removed."""
_NEW: Final = ".new-"


def digest(*parts: str | bytes) -> str:
    """The key of what is built from ``parts``: 20 hexadecimal digits."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class BuildCache:
    """The folder ``vnetcard/AREA`` of the user's cache, with the ``keep`` results of each kind that were used last.

    ``content`` names in messages what is kept there.
    """

    area: str
    content: str
    keep: int

    def folder(self) -> Path:
        """``$XDG_CACHE_HOME/vnetcard/AREA``, or below ``~/.cache``; ConfigError without either."""
        base = os.environ.get("XDG_CACHE_HOME")
        try:
            cache = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
        except RuntimeError as error:
            raise ConfigError(
                f"no home folder to keep {self.content} in: set XDG_CACHE_HOME", code=ErrorCode.CACHE_UNUSABLE
            ) from error
        return cache / "vnetcard" / self.area

    def get(self, kind: str, key: str, build: Callable[[Path], None], progress: Progress) -> Path:
        """The folder ``KIND-KEY``, filled by ``build`` if it is absent; ConfigError when the cache cannot be written.

        A ``build`` that raises leaves no folder.
        """
        cache = self.folder()
        result = cache / f"{kind}-{key}"
        try:
            if not result.exists():
                cache.mkdir(parents=True, exist_ok=True)
                with _locked(cache / f"{result.name}.lock", progress):
                    if not result.exists():
                        _build(result, build)
                self._remove_old(kind, keep=result)
            with contextlib.suppress(PermissionError):  # another user's cache serves as well
                os.utime(result)
        except OSError as error:
            raise ConfigError(
                f"cannot keep {self.content} in {cache} ({error.strerror or error}): set XDG_CACHE_HOME",
                code=ErrorCode.CACHE_UNUSABLE,
            ) from error
        return result

    def _remove_old(self, kind: str, *, keep: Path) -> None:
        """Remove the results of ``kind`` that were not used for the longest time, and remains of killed builds."""
        entries = sorted((path for path in self.folder().iterdir() if path != keep), key=_last_use)
        results = [path for path in entries if path.is_dir() and path.name.rpartition("-")[0] == kind]
        stale = [path for path in entries if _is_remainder(path) and _last_use(path) < time.time() - STALE_S]
        for path in [*results[: max(0, len(results) + 1 - self.keep)], *stale]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


SIMULATOR: Final = BuildCache("sim", "the simulator", keep=3)
GUEST: Final = BuildCache("guest", "the guest", keep=4)


def _is_remainder(path: Path) -> bool:
    """Whether a killed or failed build may have left ``path``: an unfinished folder, a lock or a log."""
    return path.name.startswith(_NEW) or path.suffix in (".lock", ".log")


def _build(result: Path, build: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=_NEW, dir=result.parent, ignore_cleanup_errors=True) as folder:
        complete = Path(folder, "complete")
        complete.mkdir()
        build(complete)
        complete.rename(result)


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that builds the same\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process removes old results, too
        return 0.0
