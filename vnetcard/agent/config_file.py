"""An agent's configuration file: TOML, whose keys are the names of the long options."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

_TYPES: dict[str, type] = {
    "mtu": int,
    "queues": int,
    "max_segments": int,
    "nice": int,
    "persist": bool,
    "trust_peer": bool,
    "gro": bool,
    "json_log": bool,
    "address": list,
    "allow": list,
    "route": list,
}
"""Types of the keys that are not strings."""


def _text(data: bytes) -> str:
    """UTF-8, also with a byte order mark; UTF-16, which some editors write, where its byte order mark says so."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def read_file(path: Path, known: set[str]) -> dict[str, Any]:
    """The keys and values of the TOML file ``path``, dashes as underscores; each must be in ``known``.  ConfigError."""
    import tomllib  # most agents have no file

    try:
        table = tomllib.loads(_text(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"--config {path}: cannot read it ({error.strerror})", code=ErrorCode.CONFIG_FILE) from error
    except RecursionError as error:
        raise ConfigError(f"--config {path}: nested too deep", code=ErrorCode.CONFIG_FILE) from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, or a number of thousands of digits
        raise ConfigError(f"--config {path}: not TOML: {error}", code=ErrorCode.CONFIG_FILE) from error
    values = {key.replace("-", "_"): value for key, value in table.items()}
    if unknown := sorted(set(values) - known):
        names = ", ".join(name.replace("_", "-") for name in sorted(known))
        raise ConfigError(f"--config {path}: unknown key {unknown[0]!r} (known: {names})", code=ErrorCode.CONFIG_KEY)
    for key in ("address", "allow", "route"):
        if isinstance(values.get(key), str):
            values[key] = [values[key]]
    for key, value in values.items():
        if "\0" in (value if isinstance(value, str) else "".join(map(str, value)) if isinstance(value, list) else ""):
            raise ConfigError(
                f"--config {path}: {key.replace('_', '-')} contains a NUL character", code=ErrorCode.CONFIG_KEY
            )
        want = _TYPES.get(key, str)
        if key == "queue_bytes" and type(value) is int:
            values[key] = str(value)
        elif type(value) is not want or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise ConfigError(
                f"--config {path}: {key.replace('_', '-')} takes a {want.__name__}, not {value!r}",
                code=ErrorCode.CONFIG_KEY,
            )
    return values
