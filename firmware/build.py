"""Builds the stack at its first use: the C compiler and the system's lwIP make a library, kept in the user's cache."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.lab import toolchain
from vnetcard.sim.build_cache import BuildCache, Progress, digest

PACKAGE: Final = Path(__file__).resolve().parent
CORE: Final = Path(_core.__file__).resolve().parent / "_c"
LWIP: Final = Path("/usr/include/lwip")
"""Headers of Debian's and Ubuntu's package liblwip-dev."""
LIBRARY: Final = "libvncstack.so"
STACK: Final = BuildCache("stack", "the stack", keep=2)
# The pool of Debian's liblwip 2.1.3 has buffers of 592 bytes where pbuf_alloc() takes them for 1514: none from there.
FLAGS: Final = (
    *("-DVNC_LWIP_PBUF=PBUF_RAM", "-std=gnu11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden"),
    "-Wno-missing-field-initializers",
)


class BuildFailed(VnetcardError):
    """Raised when the compiler fails."""

    DEFAULT = ErrorCode.BUILD_FAILED


def library(progress: Progress) -> Path:
    """The stack's library, built if it is not in the cache.

    Raises ConfigError (no compiler, no lwIP, no cache) and BuildFailed.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ConfigError("no C compiler: apt-get install gcc", code=ErrorCode.TOOL_MISSING)
    if not (LWIP / "lwip/netif.h").exists():
        raise ConfigError(f"lwIP is not installed ({LWIP}): apt-get install liblwip-dev", code=ErrorCode.TOOL_MISSING)
    sources = [*sorted(PACKAGE.glob("*.c")), *sorted(PACKAGE.glob("hosted/*.c"))]
    headers = [*PACKAGE.glob("*.h"), *PACKAGE.glob("hosted/*.h"), *CORE.glob("*.h"), LWIP / "lwip/init.h"]
    contents = [part for path in [*sources, *sorted(headers)] for part in (path.name, path.read_bytes())]

    def build(folder: Path) -> None:
        progress("building the stack\n")
        includes = [f"-I{CORE}", f"-I{PACKAGE}", f"-I{PACKAGE / 'hosted'}", "-isystem", str(LWIP)]
        command = [compiler, *FLAGS, *includes, *map(str, sources), "-o", str(folder / LIBRARY), "-llwip"]
        done = subprocess.run(
            command, env=toolchain.environment(), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            raise BuildFailed(f"the stack was not built: {(done.stderr.strip().splitlines() or ['no output'])[0]}")

    return STACK.get("stack", digest(*contents, str(FLAGS), platform.machine()), build, progress) / LIBRARY
