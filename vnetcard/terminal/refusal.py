"""An exception that the system has caused, as one of ours: one line with the cause, and no traceback."""

from __future__ import annotations

import errno
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.terminal import limits

WRONG_ARGUMENT: Final = frozenset(
    {errno.EINVAL, errno.EBADF, errno.EFAULT, errno.ENOTSOCK, errno.ESPIPE, errno.ENOTTY, errno.EDOM, errno.ERANGE}
)
"""Errors of a call that this program should not have made; any other one is the system's answer to a right call."""


def explained(error: Exception, doing: str) -> VnetcardError | None:
    """``error`` as one of ours, where the system is its cause; None for a defect of this program.

    ``doing``: what it has interrupted, as in "cannot start".
    """
    if isinstance(error, VnetcardError):
        below = error.__cause__
        if isinstance(below, OSError) and below.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            return PortUnavailable(f"{error}: {limits.name_of(below)}", code=ErrorCode.RESOURCE_LIMIT)
        return error
    cause: Exception = error
    if isinstance(error, MemoryError):
        cause = OSError(errno.ENOMEM, "")
    elif isinstance(error, RuntimeError) and "start new thread" in str(error):
        cause = OSError(errno.EAGAIN, "")
    limit = limits.name_of(cause) if isinstance(cause, OSError) else None
    if limit:
        return PortUnavailable(f"cannot {doing}: {limit}", code=ErrorCode.RESOURCE_LIMIT)
    if isinstance(error, ImportError):
        return PortUnavailable(f"cannot {doing}: cannot load a module ({error})", code=ErrorCode.SYSTEM_CALL_FAILED)
    if isinstance(error, OSError) and error.errno and error.errno not in WRONG_ARGUMENT:
        where = f"{error.filename}: " if error.filename else ""
        return PortUnavailable(f"cannot {doing}: {where}{error.strerror}", code=ErrorCode.SYSTEM_CALL_FAILED)
    return None
