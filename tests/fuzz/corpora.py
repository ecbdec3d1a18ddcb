"""The corpora of the fuzz harnesses: one text file for each, in tests/fuzz/corpus.

A line is one input in hexadecimal digits, or ``z:`` and its compressed bytes in base 85.  ``# NAME`` ahead of a line
names it: a written one of ``scripts.py`` and ``samples.py``, or the regression of a defect that fuzzing found.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus")
BYTES_MAX: Final = 200_000
"""Of all files together."""


def load(name: str) -> dict[str, bytes]:
    """The inputs of a corpus by name; those without a name have their hash."""
    inputs: dict[str, bytes] = {}
    called = ""
    for line in (CORPUS / f"{name}.hex").read_text().splitlines():
        if line.startswith("#"):
            called = line[1:].strip()
            continue
        data = decode(line)
        inputs[called or digest(data)] = data
        called = ""
    return inputs


def encode(data: bytes) -> str:
    """An input as a line."""
    packed = "z:" + base64.b85encode(zlib.compress(data, 9)).decode()
    return min(data.hex(), packed, key=len)


def decode(line: str) -> bytes:
    """The input in a line of ``encode``."""
    return zlib.decompress(base64.b85decode(line[2:])) if line.startswith("z:") else bytes.fromhex(line)


def digest(data: bytes) -> str:
    """A short name of an input."""
    return hashlib.sha256(data).hexdigest()[:12]


def store(name: str, inputs: dict[str, bytes]) -> None:
    """Write a corpus: named inputs first, then the others, short ones first."""
    lines = []
    named = {called: data for called, data in inputs.items() if called != digest(data)}
    for called, data in named.items():
        lines += [f"# {called}", encode(data)]
    others = {data for called, data in inputs.items() if called not in named} - set(named.values())
    lines += [encode(data) for data in sorted(others, key=lambda data: (len(data), data))]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.hex").write_text("".join(f"{line}\n" for line in lines))


def unpack(inputs: dict[str, bytes], folder: Path) -> list[Path]:
    """Write each input into a file in ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for called, data in inputs.items():
        paths.append(folder / called.replace(" ", "-").replace("/", "-"))
        paths[-1].write_bytes(data)
    return paths


def collect(paths: Iterable[Path]) -> dict[str, bytes]:
    """The inputs in files, each under its hash."""
    found = (path.read_bytes() for path in paths)
    return {digest(data): data for data in found if data}
