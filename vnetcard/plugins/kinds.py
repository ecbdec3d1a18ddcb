"""The kinds of windows or of ports: a built-in table, then the entry points of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from types import ModuleType


class Kinds:
    """Kind to module, for one sort of backend.

    A built-in kind needs no scan of the installed packages and cannot be replaced by a plug-in.
    """

    def __init__(self, group: str, builtin: Mapping[str, str], functions: tuple[str, ...]) -> None:
        """``group`` of entry points, such as ``vnetcard.windows``; each module offers ``functions``."""
        self.group = group
        self.builtin = dict(builtin)
        self._functions = functions

    @cached_property
    def _plugins(self) -> dict[str, list[EntryPoint]]:
        """Entry points by kind; scanned once per process."""
        from importlib.metadata import entry_points  # slow to import, and needed for unknown kinds and lists only

        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            if point.name not in self.builtin and point not in found.setdefault(point.name, []):
                found[point.name].append(point)
        return found

    def __contains__(self, kind: str) -> bool:
        return kind in self.builtin or kind in self._plugins

    def names(self) -> list[str]:
        """All kinds, sorted."""
        return sorted({*self.builtin, *self._plugins})

    def load(self, kind: str) -> ModuleType:
        """The module of ``kind``, which ``in`` has found; ConfigError names a plug-in that cannot be used."""
        if kind in self.builtin:
            return import_module(self.builtin[kind])
        points = self._plugins[kind]
        if len(points) > 1:
            raise self._broken(kind, f"{' and '.join(sorted(map(_package, points)))} both register it; uninstall one")
        (point,) = points
        try:
            module: ModuleType = point.load()
            missing = [name for name in self._functions if not callable(getattr(module, name, None))]
        except Exception as error:  # a plug-in may raise anything when it is imported
            raise self._broken(kind, f"{_package(point)} cannot be loaded: {type(error).__name__}: {error}") from error
        if missing:
            raise self._broken(kind, f"{point.value} of {_package(point)} has no function {' and '.join(missing)}")
        return module

    def _broken(self, kind: str, why: str) -> ConfigError:
        return ConfigError(f"plug-in {kind!r} of {self.group}: {' '.join(why.split())}", code=ErrorCode.BROKEN_PLUGIN)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
