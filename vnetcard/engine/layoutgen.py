"""Generate C, SystemVerilog and Markdown tables from ``layout.py``, ``registers.py`` and ``tap_layout.py``.

``python -m vnetcard.engine.layoutgen`` rewrites the files; with ``--check`` it exits 1 when one differs.
It works only in a checkout, where the files are beside the sources.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.block import Block

ROOT = Path(__file__).resolve().parent.parent.parent
NOTE = "Generated from vnetcard/ring/layout.py by `python -m vnetcard.engine.layoutgen`; do not edit."

_SIZES = {
    "VERSION": L.VERSION,
    "LINE": L.LINE,
    "SIDE_OFFSET": L.SIDE_OFFSET,
    "SIDE_BYTES": L.SIDE_BYTES,
    "QUEUE_OFFSET": L.QUEUE_OFFSET,
    "QUEUE_BYTES": L.QUEUE_BYTES,
    "QUEUES_MAX": L.QUEUES_MAX,
    "RING_ALIGN": L.RING_ALIGN,
    "RING_MIN": L.RING_MIN,
    "RING_MAX": L.RING_MAX,
    "WINDOW_MIN": L.WINDOW_MIN,
    "WINDOW_MAX": L.WINDOW_MAX,
    "RECORD_HEADER": L.RECORD_HEADER,
    "FRAME_MAX": L.FRAME_MAX,
    "VNET_HDR": L.VNET_HDR,
    "LINK_COUNTERS_OFFSET": L.LINK_COUNTERS_OFFSET,
    "LEDGER_WORDS": L.LEDGER_WORDS,
    "LEDGER_CHECKSUM": L.LEDGER_CHECKSUM,
    "LEDGER_SLOT_BYTES": L.LEDGER_SLOT_BYTES,
    "STATS_BYTES": L.STATS_BYTES,
}

_TABLES = (
    ("STATE", L.STATES),
    ("F", L.FEATURES),
    ("REC", L.RECORD_FLAGS),
    ("CONTROL", R.CONTROL_BITS),
    ("STATUS", R.STATUS_BITS),
    ("RESET", R.RESET_BITS),
    ("IRQ", R.IRQ_BITS),
    ("CAUSE", R.CAUSES),
)

_ENGINE = {"ENGINE_ID": R.ENGINE_ID, "ENGINE_VERSION": R.ENGINE_VERSION}


def _enum_rows(prefix: str, names: tuple[str, ...]) -> list[str]:
    return [f"\tVNC_{prefix}_{name.upper()} = {n}," for n, name in enumerate(names)]


def _struct(block: Block) -> list[str]:
    """A C struct with explicit padding, and the assertions that pin it."""
    name = f"vnc_{block.name}"
    body: list[str] = []
    at = 0
    for field in block.fields:
        kind = f"uint{field.size * 8}_t {field.name}" if field.size <= 8 else f"uint8_t {field.name}[{field.size}]"
        body.append(f"\t{kind + ';':<32}/* {field.offset:#04x} {field.meaning} */")
        at = field.offset + field.size
    if at < block.size:
        body.append(f"\tuint8_t pad[{block.size - at}];")
    checks = [
        f'_Static_assert(offsetof(struct {name}, {f.name}) == {f.offset}, "{block.name}.{f.name}");'
        for f in block.fields
    ]
    size = f'_Static_assert(sizeof(struct {name}) == {block.size}, "{block.name}");'
    return [f"/* written by: {block.writer}; {block.ordering} */", f"struct {name} {{", *body, "};", size, *checks, ""]


def c_header() -> str:
    """The C header, as text; needs nothing but a freestanding C11 compiler."""
    lines = [
        "/* SPDX-License-Identifier: MIT */",
        f"/* {NOTE} */",
        "#ifndef VNC_LAYOUT_H",
        "#define VNC_LAYOUT_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define VNC_MAGIC UINT64_C({L.MAGIC:#018x})",
    ]
    lines += [f"#define VNC_{name} {value}u" for name, value in _SIZES.items()]
    lines.append(f"#define VNC_BATCH_WORDS {len(L.BATCHES)}u")
    lines += [f"#define VNC_{name} {value:#x}u" for name, value in _ENGINE.items()]
    for prefix, table in _TABLES:
        lines += ["", *(f"#define VNC_{prefix}_{name} {value}u" for name, value in table.items())]
    lines.append("")
    lines += [f"#define VNC_Q_{name.upper()} {at:#05x}u" for name, at in (L.QUEUE_LINES | L.QUEUE_LEDGERS).items()]
    lines += ["", "/* the DMA engine's register page, 32 bits each */"]
    lines += [f"#define VNC_REG_{register.name.upper()} {register.offset:#05x}u" for register in R.REGISTERS]
    lines.append("")
    for block in L.BLOCKS:
        lines += _struct(block)
    for prefix, names in (
        ("TX", L.TX_LEDGER),
        ("RX", L.RX_LEDGER),
        ("TXSTAT", L.TX_STATS),
        ("RXSTAT", L.RX_STATS),
        ("LINK", L.LINK_COUNTERS),
    ):
        lines += [f"enum vnc_{prefix.lower()}_word {{", *_enum_rows(prefix, names), "};", ""]
    lines.append("#endif")
    return "\n".join(lines) + "\n"


def tap_header() -> str:
    """The C header of the tap segment, as text."""
    lines = [
        "/* SPDX-License-Identifier: MIT */",
        "/* Generated from vnetcard/ring/tap_layout.py by `python -m vnetcard.engine.layoutgen`; do not edit. */",
        "#ifndef VNC_TAP_LAYOUT_H",
        "#define VNC_TAP_LAYOUT_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define VNC_TAPS_MAX {T.TAPS_MAX}u",
    ]
    for prefix, table in (("TAP", T.STAGES), ("TAP", T.FLAGS), ("NOTICE", T.NOTICES)):
        lines += ["", *(f"#define VNC_{prefix}_{name} {value}u" for name, value in table.items())]
    lines.append("")
    for block in T.BLOCKS:
        lines += _struct(block)
    lines.append("#endif")
    return "\n".join(lines) + "\n"


def sv_package() -> str:
    """The SystemVerilog package, as text."""
    lines = ["// SPDX-License-Identifier: MIT", f"// {NOTE}", "package vnc_pkg;"]
    lines.append(f"  localparam logic [63:0] Magic = 64'h{L.MAGIC:016x};")

    def param(name: str, value: int) -> str:
        camel = "".join(part.capitalize() for part in name.lower().split("_"))
        return f"  localparam int unsigned {camel} = 32'h{value:08x};"

    lines += [param(name, value) for name, value in (_SIZES | _ENGINE).items()]
    for prefix, table in _TABLES:
        lines += [param(f"{prefix}_{name}", value) for name, value in table.items()]
    lines += [param(f"Q_{name}", at) for name, at in (L.QUEUE_LINES | L.QUEUE_LEDGERS).items()]
    for block in L.BLOCKS:
        lines += [param(f"{block.name}_{field.name}", field.offset) for field in block.fields]
    lines += [param(f"REG_{register.name}", register.offset) for register in R.REGISTERS]
    lines.append("endpackage")
    return "\n".join(lines) + "\n"


def doc_table() -> str:
    """The Markdown tables: offset, size, writer, reader, ordering of every field."""
    lines = [f"<!-- {NOTE} -->", ""]
    for block in L.BLOCKS:
        lines += [f"### {block.name} ({block.size} bytes)", ""]
        lines += [*wrap(f"Writer: {block.writer}. Reader: {block.reader}. Ordering: {block.ordering}.", 120), ""]
        lines += ["| offset | size | field | meaning |", "|---|---|---|---|"]
        lines += [f"| {f.offset:#04x} | {f.size} | `{f.name}` | {f.meaning} |" for f in block.fields]
        lines.append("")
    lines += ["### queue block", "", "| offset | what |", "|---|---|"]
    lines += [f"| {at:#05x} | `{name}` index line |" for name, at in L.QUEUE_LINES.items()]
    lines += [f"| {at:#05x} | `{name}` batches by size |" for name, at in L.QUEUE_BATCHES.items()]
    lines += [f"| {at:#05x} | `{name}` ledger: two slots, then stats |" for name, at in L.QUEUE_LEDGERS.items()]
    for title, names in (
        ("tx ledger slot", L.TX_LEDGER),
        ("rx ledger slot", L.RX_LEDGER),
        ("tx stats", L.TX_STATS),
        ("rx stats", L.RX_STATS),
        ("batches", L.BATCHES),
        ("link counters", L.LINK_COUNTERS),
    ):
        lines += ["", f"### {title} (u64 words)", "", "| word | name |", "|---|---|"]
        lines += [f"| {n} | `{name}` |" for n, name in enumerate(names)]
        if title.endswith("ledger slot"):
            lines.append(f"| {L.LEDGER_CHECKSUM} | `checksum` |")
    for title, table in (("states", L.STATES), ("features", L.FEATURES), ("record flags", L.RECORD_FLAGS)):
        lines += ["", f"### {title}", "", "| value | name |", "|---|---|"]
        lines += [f"| {value:#x} | `{name}` |" for name, value in table.items()]
    return "\n".join(lines) + "\n"


_BEGIN, _END = "<!-- layout:begin -->", "<!-- layout:end -->"


def wire_format_page() -> str:
    """``docs/wire-format.md`` with its generated part replaced; the prose around it stays."""
    page = (ROOT / "docs/wire-format.md").read_text()
    head, _, rest = page.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n{doc_table()}{_END}{tail}"


_PAGE_HEAD = f"""\
# The DMA engine's registers

<!-- Generated from vnetcard/engine/registers.py by `python -m vnetcard.engine.layoutgen`; do not edit. -->

Each side has one page of {R.PAGE_BYTES} bytes; the host's page is BAR0. Both pages have the same layout: *tx* is the
direction that this side produces, *rx* the direction that it consumes. Registers are 32 bits wide and little-endian.
A write of less than a full register, to a nonexistent register, or to a locked register is ignored. A nonexistent
register reads 0.

A register marked "locked" accepts writes only while `status.LOCKED` is 0: ENABLE of this side is 0, both directions and
both side movers are off. A side configures only the engine's access to its own memory. To start the engine, software
on both sides writes the configuration and then sets ENABLE.
"""


def registers_page() -> str:
    """``docs/registers.md``: the register page, and the words that the engine writes by itself."""
    lines = [_PAGE_HEAD, "| offset | name | access | meaning |", "|---|---|---|---|"]
    lines += [f"| {r.offset:#05x} | `{r.name}` | {r.access} | {r.meaning} |" for r in R.REGISTERS]
    for title, table in (
        ("control", R.CONTROL_BITS),
        ("status", R.STATUS_BITS),
        ("reset", R.RESET_BITS),
        ("irq_status, irq_enable", R.IRQ_BITS),
        ("tx_cause, rx_cause", R.CAUSES),
    ):
        lines += ["", f"## {title}", "", "| value | name |", "|---|---|"]
        lines += [f"| {value:#x} | `{name}` |" for name, value in table.items()]
    lines += ["", "## Words that the engine writes", ""]
    lines += ["Besides ring data and the control lines of the side blocks, in queue block 0 of a window:", ""]
    lines += ["| offset | window | what |", "|---|---|---|"]
    for direction, (source, sink) in zip(L.DIRECTIONS, (L.SIDES, L.SIDES[::-1]), strict=True):
        for line, window in (("prod", sink), ("cons", source)):
            at = L.queue_offset(0) + L.QUEUE_LINES[f"{direction}_{line}"]
            lines.append(f"| {at:#05x} | {window} | `{line}` of {direction} |")
    return "\n".join(lines) + "\n"


OUTPUTS: dict[str, Callable[[], str]] = {
    "vnetcard/_c/vnc_layout.h": c_header,
    "vnetcard/_c/vnc_tap_layout.h": tap_header,
    "hdl/rtl/vnc_pkg.sv": sv_package,
    "docs/wire-format.md": wire_format_page,
    "docs/registers.md": registers_page,
}


def stale() -> list[str]:
    """The generated files that differ from what the table says."""
    return [name for name, make in OUTPUTS.items() if (ROOT / name).read_text() != make()]


def main(argv: list[str] | None = None) -> int:
    """Write the files, or with ``--check`` only compare; 1 when one is stale."""
    parser = argparse.ArgumentParser(prog="python -m vnetcard.engine.layoutgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a file is stale")
    if parser.parse_args(argv).check:
        old = stale()
        for name in old:
            print(f"{name} does not match its table: run `python -m vnetcard.engine.layoutgen`", file=sys.stderr)
        return 1 if old else 0
    for name, make in OUTPUTS.items():
        (ROOT / name).write_text(make())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
