"""Things that take long to make and are kept: a folder in the user's cache, whole or not there at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vnetcard.errors import ConfigError

Tell = Callable[[str], object]
"""Takes progress, in pieces of a line."""

KEEP = 4
"""Folders of one kind that stay; the one used longest ago goes first."""


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vnetcard/guest``, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "vnetcard/guest"
    except RuntimeError as error:
        raise ConfigError("no home folder to keep the guest in: set XDG_CACHE_HOME") from error


def digest(*parts: str | bytes) -> str:
    """A short name for what is made from ``parts``."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()[:20]


def made(kind: str, key: str, make: Callable[[Path], None], tell: Tell) -> Path:
    """The folder ``kind-key``, filled by ``make`` if it is not there; ConfigError when the cache cannot be written.

    Two processes that want the same wait for one another.
    """
    cache = cache_folder()
    whole = cache / f"{kind}-{key}"
    try:
        if not whole.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / f"{kind}.lock", tell):
                if not whole.exists():
                    _make(cache, whole, make)
        with contextlib.suppress(PermissionError):  # somebody else's cache serves as well
            os.utime(whole)
        _forget_old(cache, kind, keep=whole)
    except OSError as error:
        raise ConfigError(
            f"cannot keep the guest in {cache} ({error.strerror or error}): set XDG_CACHE_HOME"
        ) from error
    return whole


def _make(cache: Path, whole: Path, make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache, ignore_cleanup_errors=True) as folder:
        inside = Path(folder, "whole")
        inside.mkdir()
        make(inside)
        inside.rename(whole)


@contextlib.contextmanager
def _locked(path: Path, tell: Tell) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that makes the same\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget_old(cache: Path, kind: str, *, keep: Path) -> None:
    """Remove folders beyond KEEP, and what killed makers left a day ago or more."""
    folders = sorted((path for path in cache.glob(f"{kind}-*") if path != keep), key=_used)
    left = [path for path in cache.glob(".new-*") if _used(path) < time.time() - 86400]
    for path in [*folders[: -(KEEP - 1)], *left]:
        shutil.rmtree(path, ignore_errors=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another one tidies up as well
        return 0.0
