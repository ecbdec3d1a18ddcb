"""Which limit of the system an error of the kernel means."""

from __future__ import annotations

import errno
import resource
from pathlib import Path
from typing import Final

_NAMES: Final = {
    errno.EAGAIN: "no further thread can be started: raise the limit on tasks",
    errno.EMFILE: "no further file descriptor for this process: raise RLIMIT_NOFILE (`ulimit -n`, LimitNOFILE=)",
    errno.ENFILE: "no further file descriptor in this system: raise the sysctl fs.file-max",
    errno.ENOMEM: "out of memory: raise RLIMIT_AS or RLIMIT_MEMLOCK (`ulimit`), or the cgroup's memory.max",
    errno.ENOBUFS: "out of kernel memory for buffers",
}


def name_of(error: OSError) -> str | None:
    """The limit that was reached, with its present value where it is known; None for any other error."""
    words = _NAMES.get(error.errno or 0)
    if words is None:
        return None
    if error.errno == errno.EAGAIN:
        return f"{words} ({task_limit()})"
    if error.errno == errno.EMFILE:
        return f"{words}, now {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
    return words


def explained(error: OSError | MemoryError) -> str:
    """What to say of ``error``: the limit that was reached, or the system's own words."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "")
    return name_of(error) or error.strerror or str(error)


def task_limit() -> str:
    """What bounds the threads of this process: its cgroup's pids.max, or the user's RLIMIT_NPROC."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "pids"):
            continue
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
            for value in _lines(Path(f"{root}{path}") / "pids.max"):
                if value != "max":
                    return f"pids.max of the cgroup {path} is {value}: TasksMax=, --pids-limit"
    return f"RLIMIT_NPROC is {resource.getrlimit(resource.RLIMIT_NPROC)[0]}: `ulimit -u`, LimitNPROC="


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
