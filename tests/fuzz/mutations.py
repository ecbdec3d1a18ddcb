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


def _memif(name: str, old: str, new: str, file: str = "vnc_memif.h") -> Mutation:
    return Mutation(name, "memif", file, old, new)


def _memif_io(name: str, old: str, new: str) -> Mutation:
    return _memif(name, old, new, "vnc_memif_io.h")


def _merge(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "merge", "vnc_merge.h", old, new)


def _vhost(name: str, old: str, new: str, file: str = "vnc_vhost.h") -> Mutation:
    return Mutation(name, "vhost", file, old, new)


def _vhost_io(name: str, old: str, new: str) -> Mutation:
    return _vhost(name, old, new, "vnc_vhost_io.h")


def _finish(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "finish", "vnc_finish.h", old, new)


def _socket(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "socket", "vnc_tx_socket.h", old, new)


def _near(name: str, old: str, new: str, harness: str = "rx") -> Mutation:
    return Mutation(name, harness, "vnc_neighbour.h", old, new)


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
    Mutation(
        "kernel reads what the filter checked out of the ring",
        "rx",
        "vnc_punt.h",
        "iov[n++] = (struct iovec){head->bytes, copied};",
        "copied = 0;",
    ),
    Mutation(
        "punted packet is not judged once more",
        "rx",
        "vnc_punt.h",
        "\tdrop = judge(p, &head);",
        "\tdrop = VNC_FILTER_PASS;",
    ),
    Mutation(
        "program gets the packet out of the ring", "rx", "vnc_punt.h", "p->domain != VNC_COHERENT", "head->size[1] == 0"
    ),
    Mutation(
        "packet that the program did not take counts as delivered",
        "rx",
        "vnc_punt.h",
        "drop = failed ? failed : drop;",
        "drop = 0;",
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
    # --- merging
    _merge(
        "datagram with a whole checksum is merged",
        "return m->tcp && !vnc_checksum(",
        "return !m->tcp || !vnc_checksum(",
    ),
    _merge(
        "checksum of a segment is not verified", "return m->tcp && !vnc_checksum(", "return m->tcp || vnc_checksum("
    ),
    _merge(
        "partial checksum is not verified",
        "!memcmp(m->head + m->l4 + field, &partial, sizeof(partial))",
        "(partial | 1)",
    ),
    _merge("start of the checksum is not checked", "hdr->csum_start == m->l4 && ", ""),
    _merge("checksum of IPv4 is not verified", " && !vnc_checksum(vnc_sum(ip, 20, 0))", ""),
    _merge("identification may be any", "(a[6] & 0x40) || ", "1 || "),
    _merge("ports are not compared", "memcmp(first->head + first->l4, next->head + next->l4, 4))", "0)"),
    _merge("DSCP is not compared", "a[1] == b[1] && ", ""),
    _merge("larger packet is merged", "next.payload > first->payload ||", ""),
    _merge("packets follow a smaller one", "return last->payload < size || (", "return size == 0 || ("),
    _merge("segments follow one with PSH", " || (last->tcp && (last->head[last->l4 + 13] & VNC_TCP_PSH))", ""),
    _merge("PSH of the last segment is lost", "first->head[first->l4 + 13] |= next.head[next.l4 + 13];", "(void)next;"),
    _merge("sequence number is not compared", "== __builtin_bswap32(expected) + bytes", "!= expected / 2 - bytes"),
    _merge("acknowledgement is not compared", "!memcmp(a + 8, b + 8, 5) &&", "!memcmp(a + 12, b + 12, 1) &&"),
    _merge("window is not compared", "!memcmp(a + 14, b + 14, 2) && ", ""),
    _merge("options are not compared", "!memcmp(a + 18, b + 18, head - 18)", "head > 18"),
    _merge("segment with FIN is merged", " || (l4[13] & ~VNC_TCP_PSH) != VNC_TCP_ACK)", ")"),
    _merge("fragment is merged", "!(vnc_get_be16(ip + 6) & 0xbfff)", "ip[0]"),
    _merge("UDP length is not checked", "} else if (vnc_get_be16(l4 + 4) != len - m->l4) {", "} else if (!len) {"),
    _merge("merged without the link's offload", "(p->link.features & (m->ipv6 ? VNC_F_USO6 : VNC_F_USO4))", "1"),
    _merge(
        "headers come from the ring", "{first->head, first->data}", "{view->span[0].base + view->hdr_len, first->data}"
    ),
    # --- memif
    _memif("index beyond the ring is believed", "return slots > e->size ? -1 : slots;", "return slots;"),
    _memif(
        "buffer beyond its region is used",
        "slot->len > slot->region->size || offset > slot->region->size - slot->len",
        "slot->len > slot->region->size",
    ),
    _memif("region that there is not is used", "number >= m->rings.regions", "number > 60000"),
    _memif("client believes the offset of a server", "offset = vnc_memif_buffer(e, at);", "offset = d->offset;"),
    _memif_io(
        "length is read again after its check",
        "vnc_cursor_copy(c, slot.base, slot.len, false)",
        "vnc_cursor_copy(c, slot.base, vnc_memif_desc(e, e->at + (uint32_t)n)->length, false)",
    ),
    _memif_io("frame without its last slot is taken", "n == slots ? VNC_RINGS_BAD_CHAIN : ", ""),
    _memif_io(
        "slot that is not free is filled", "if (n == slots)\n\t\t\treturn -1;", "if (n > slots)\n\t\t\treturn -1;"
    ),
    _memif_io(
        "slots are given back before they are read", "e->pending = (uint16_t)n;", "vnc_memif_publish(e, (uint32_t)n);"
    ),
    # --- vhost-user
    _vhost("index beyond the queue is believed", "return chains > e->size ? -1 : chains;", "return chains;"),
    _vhost("address beyond its region is used", "|| offset >= region->size)", "|| offset >= region->size + 64)"),
    _vhost("chain's buffer beyond its region is used", "len > region->size - offset", "len > region->size"),
    _vhost(
        "one chain is used where there were more",
        "e->at = (uint16_t)(e->at + chains);",
        "e->at = (uint16_t)(e->at + !!chains);",
    ),
    _vhost_io(
        "chain is given back before it is read",
        "\tint32_t chains = vnc_vhost_chains(e), head;\n",
        "\tint32_t chains = vnc_vhost_chains(e), head = (vnc_vhost_publish(e, 1), 0);\n",
    ),
    _vhost_io(
        "header is a part of the frame", "*seen < v->header) { /* not the pumps' */", "*seen < VNC_VHOST_HEADER) {"
    ),
    _vhost_io(
        "chain that was not offered is filled", "(int32_t)room->chains == chains", "(int32_t)room->chains > chains"
    ),
    # --- finishing
    _finish("headers beyond the packet are cut", "|| f->head > f->len ||", "||"),
    _finish("extension header beyond the packet is read", "|| at + 8 > room)", ")"),
    _finish("headers larger than their place", " || f->head > VNC_FINISH_HEADERS)", ")"),
    _finish("checksum outside the packet is written", "start > len || field + 2 > len", "start > len || field > len"),
    _finish("length of UDP is that of the super-packet", "if (f->udp)\n\t\tvnc_put", "if (0)\n\t\tvnc_put"),
    # --- a packet socket
    _socket("Ethernet header stays in front of an IP packet", "\t\t*frame += VNC_ETHERNET_HEADER;\n", ""),
    _socket(
        "packets of a frame that was given up are not counted",
        "len = vnc_finish_next(&p->finish, &packet);\n\t\tp->ledger.now[VNC_TX_TX_TAKEN]++;",
        "len = vnc_finish_next(&p->finish, &packet);",
    ),
    _socket("frame that was cut short is sent", "if (msg.msg_flags & MSG_TRUNC)", "if (0)"),
    _socket(
        "packet larger than the link's is sent", "> p->link.packet_max ? VNC_TX_DROP_TOO_BIG : 0", "> 1u << 20 ? 1 : 0"
    ),
    # --- the Ethernet behind a port of IP packets
    _near("packet of a gateway is asked for by its destination", "*ip = n->gateway[ip->version == 6];", "return true;"),
    _near("group has the MAC address of all its bits", "byte[1] & 0x7f", "byte[1]"),
    _near("broadcast of a network is asked for", "vnc_is_broadcast(&n->network[i], ip))", "0)"),
    _near("stale neighbour is never asked about", "out->stale = entry->stale;", ""),
    _near("checksum stays where it was without an Ethernet", "hdr->csum_start += VNC_ETHERNET_HEADER;", ""),
    _near("removed neighbour is still known", "entry->ip.version = 0;", ""),
    _near("length of an IP packet is not that of its frame", "|| all > len ? 0", "? 0", "finish"),
    _near("padding of a frame stays", "ip = vnc_ip_length(frame + VNC_ETHERNET_HEADER, ip);", "(void)frame;", "finish"),
    _near("checksum may start before the IP packet", "hdr->csum_start < VNC_ETHERNET_HEADER)", "0)", "finish"),
    Mutation(
        "stale neighbour is forgotten when the resolver has no room",
        "rx",
        "vnc_ethernet.h",
        "\tvnc_neighbour_mark_stale(to, &ethernet->question.hop);\n",
        "",
    ),
    Mutation(
        "packet that the resolver has no room for is not counted",
        "rx",
        "vnc_ethernet.h",
        "__atomic_fetch_add(&unasked[ethernet->question.hop.version == 6], 1, __ATOMIC_RELAXED);",
        "(void)unasked;",
    ),
)
