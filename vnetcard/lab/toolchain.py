"""The environment in which compilers and makes run: the same whatever the user's shell exports."""

from __future__ import annotations

import os
from typing import Final

_KEPT: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"),
    *("CCACHE_DIR", "CCACHE_DISABLE", "PKG_CONFIG_PATH"),
)
"""Variables that say where programs and libraries are.

All others are left out: ``CFLAGS``, ``CXXFLAGS``, ``CPPFLAGS``, ``LDFLAGS``, ``CPATH``, ``MAKEFLAGS``,
``VERILATOR_ROOT`` and many more change what is built, or break it, and no cache key names them.
"""


def environment(**variables: str) -> dict[str, str]:
    """The environment for a build, with ``variables`` added; messages are in English."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"LC_ALL": "C"} | variables
