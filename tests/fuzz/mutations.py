"""The bugs that ``test_mutations.py`` plants in a copy of the C core, one at a time: the corpora must find each.

Each is a text that occurs in its file exactly once, and its replacement.  A text that no longer occurs is an error:
change the mutation with the core.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutation:
    """One bug: in ``file`` of the core ``old`` becomes ``new``; ``harness`` must find it."""

    name: str
    harness: str
    file: str
    old: str
    new: str

    def apply(self, core: Path, folder: Path) -> Path:
        """Copy ``core`` to ``folder`` with the bug; raises AssertionError unless ``old`` occurs exactly once."""
        shutil.copytree(core, folder)
        text = (core / self.file).read_text()
        assert text.count(self.old) == 1, f"{self.name}: {text.count(self.old)} times in {self.file}: {self.old!r}"
        (folder / self.file).write_text(text.replace(self.old, self.new))
        return folder


def _ring(name: str, harness: str, old: str, new: str) -> Mutation:
    return Mutation(name, harness, "vnc_ring.h", old, new)


def _rx(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "rx", "vnc_rx.c", old, new)


def _deliver(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "rx", "vnc_deliver.h", old, new)


def _tx(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "tx", "vnc_tx.c", old, new)


_SPLIT: Final = "vnc_split(c->ring, c->size, c->cons + VNC_RECORD_HEADER, view->len, view->span);"

MUTATIONS: Final = (
    # --- the ring
    _ring(
        "record longer than what is published is accepted",
        "consumer",
        " || vnc_record_bytes(view->len) > c->prod - c->cons)",
        ")",
    ),
    _ring(
        "length is loaded again after its check",
        "consumer",
        _SPLIT,
        _SPLIT.replace("view->len,", "vnc_get32(c->domain, (const uint32_t *)(const void *)head),"),
    ),
    _ring("prod may go back", "consumer", " || prod - c->cons < c->prod - c->cons)", ")"),
    _ring("prod may be more than a ring ahead", "consumer", "prod - c->cons > c->size ||", ""),
    _ring("record without its number is accepted", "consumer", "(uint32_t)second != c->seq", "0"),
    _ring("payload runs on behind the ring", "consumer", "size - start < len ? size - start : len", "len"),
    _ring(
        "cons may be ahead of what is published", "producer", " || p->published - cons > p->published - p->cons)", ")"
    ),
    _ring(
        "record overwrites one that was not consumed",
        "producer",
        "if (vnc_producer_room(p) < need)\n\t\t\treturn",
        "if (vnc_producer_room(p) + VNC_LINE < need)\n\t\t\treturn",
    ),
    # --- the ledger and the taps
    Mutation(
        "half an update is read",
        "ledger",
        "vnc_ledger.h",
        "if (out[VNC_LEDGER_CHECKSUM] == vnc_ledger_sum(out))\n\t\t\treturn VNC_LEDGER_WHOLE;",
        "if (stamp)\n\t\t\treturn VNC_LEDGER_WHOLE;",
    ),
    Mutation("reader of a ledger never gives up", "ledger", "vnc_ledger.h", "tries < 64;", "tries < 6400;"),
    Mutation(
        "event has bytes from behind the packet",
        "tap",
        "vnc_tap.c",
        "kept = kept < all - entry->skip ? kept : all - entry->skip;",
        "",
    ),
    # --- the rx pump
    _deliver(
        "kernel reads the virtio_net_hdr out of the ring",
        "iov[n++] = (struct iovec){&hdr, sizeof(hdr)};",
        "iov[n++] = (struct iovec){view->hdr_len ? view->span[0].base : (uint8_t *)&hdr, sizeof(hdr)};",
    ),
    _deliver("virtio_net_hdr is not checked", " || !vnc_vnet_sane(&hdr, len))", ")"),
    _deliver(
        "offload that was not agreed on reaches the kernel",
        "(needed & ~p->link.features) ||",
        "(needed & VNC_FEATURE_UNKNOWN) ||",
    ),
    _deliver(
        "super-packet without its headers reaches the kernel",
        "!gso_whole(view, &hdr, len, l3)",
        "gso_whole(view, &hdr, len, l3) > 1",
    ),
    _deliver(
        "kernel reads what the filter checked out of the ring",
        "iov[n++] = (struct iovec){head->bytes, copied};",
        "copied = 0;",
    ),
    Mutation(
        "source is not compared", "rx", "vnc_filter.h", "f->allowed && !vnc_filter_allowed(", "0 && vnc_filter_allowed("
    ),
    Mutation("redirect passes", "rx", "vnc_filter.h", "== 134 ||", "== 0 ||"),
    Mutation("checksum field one byte behind the packet", "rx", "vnc_offload.h", "+ 2 > len", "+ 1 > len"),
    _rx("dropped record is not counted", "now[drop]++;", ""),
    _rx(
        "record that the port refused is released",
        "p->refused_record = *view;",
        "vnc_ring_release(&p->consumer, view->len);",
    ),
    _rx(
        "restarted peer counts as a violation",
        "if (vnc_pump_epoch_changed(p))\n\t\treturn VNC_STOP_EPOCH;\n\tupdate",
        "update",
    ),
    # --- the tx pump
    _tx("packet larger than agreed on is sent", "if (len > p->link.packet_max)", "if (len > p->link.packet_max + 8)"),
    _tx("packet of a killed process is not counted", "p->armed = true;", "p->armed = true, place[1] = 0;"),
    _tx(
        "ledger's index is not aligned",
        "(uint32_t)l->now[VNC_LEDGER_INDEX] & ~(VNC_LINE - 1)",
        "(uint32_t)l->now[VNC_LEDGER_INDEX]",
    ),
    _tx(
        "packet with an offload that was not agreed on is sent",
        "return (needed & ~p->link.features) ?",
        "return (needed & VNC_FEATURE_UNKNOWN) ?",
    ),
)
