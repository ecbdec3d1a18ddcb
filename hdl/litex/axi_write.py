"""AW, W and B of an AXI4 slave as memory write TLPs.

    AW --> check --+
                   v
    W ---> collector ---> FIFO of beats -------+
               |                               v
               +--------> FIFO of TLPs ---> emitter --> crossbar
                                               |
    B <-- FIFO <-------- last TLP was taken ---+

The collector joins beats with all strobes set into one TLP, up to the maximum payload size and not past an address
that is a multiple of it.  A beat with some strobes set is sent in pieces: an aligned 8 bytes with all strobes set as
one TLP of two DWORDs, any other DWORD as a TLP of its own with byte enables.  LitePCIe sends TLPs of these sizes
correctly at every width; it does not send every size (``endpoint.py``).

B follows when the crossbar has taken the last beat of the last TLP.  Behind the crossbar reads and writes share one
queue, so a read that is requested after B stays behind the write.
"""

from __future__ import annotations

from typing import Any

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from litex.soc.interconnect.axi import BURST_INCR, RESP_OKAY, RESP_SLVERR
from migen import FSM, Cat, If, Mux, NextState, NextValue, Signal

from vnetcard.hdl.litex.endpoint import extend_packetizer

PAYLOAD_MAX = 512
"""Bytes; LitePCIe's PHYs announce no more."""
RESPONSES = 16


class PCIeAXIWrite(LiteXModule):
    """The write half of ``PCIeAXISlave``: full-width INCR bursts; any other burst is answered with SLVERR."""

    def __init__(self, endpoint: Any, axi: Any, enable: Any) -> None:
        port = endpoint.crossbar.get_master_port(write_only=True)
        extend_packetizer(endpoint, port.channel)
        bits = axi.data_width
        size = bits // 8

        self.beats = stream.SyncFIFO([("data", bits)], 2 * PAYLOAD_MAX // size, buffered=True)
        self.tlps = stream.SyncFIFO(
            [("adr", 64), ("len", 10), ("be", 8), ("send", 1), ("end", 1), ("error", 1), ("id", axi.id_width)], 16
        )
        self.responses = stream.SyncFIFO([("id", axi.id_width), ("error", 1)], RESPONSES)
        self._collect(endpoint.phy.max_payload_size, axi, enable)
        self._emit(port, endpoint.phy.id, size)
        self.comb += [
            axi.b.valid.eq(self.responses.source.valid),
            axi.b.id.eq(self.responses.source.id),
            axi.b.resp.eq(Mux(self.responses.source.error, RESP_SLVERR, RESP_OKAY)),
            self.responses.source.ready.eq(axi.b.ready),
        ]

    def _collect(self, payload_size: Any, axi: Any, enable: Any) -> None:
        """Cut each burst into TLPs."""
        bits = axi.data_width
        size = bits // 8
        shift = size.bit_length() - 1
        aw, w, beats, tlps = axi.aw, axi.w, self.beats.sink, self.tlps.sink

        boundary = Signal(9, reset=PAYLOAD_MAX - 1)  # maximum payload size - 1
        self.sync += boundary.eq(payload_size - 1)

        address = Signal(64)  # of the next beat
        start = Signal(64)  # of the first beat of the TLP
        count = Signal(max=PAYLOAD_MAX // size + 1)  # its beats so far
        following = Signal(64)
        full, closed = Signal(), Signal()
        pieces = Signal(bits)  # the rest of a beat that is sent in pieces, in bits 63:0 what is next
        strobes = Signal(size)
        upper = Signal()  # bits 31:0 of the pieces were sent
        last = Signal()
        self.comb += [
            following.eq(address + size),
            full.eq(w.strb == (1 << size) - 1),
            closed.eq(w.last | ((following[shift:9] & boundary[shift:]) == 0)),
            tlps.adr.eq(start),
            tlps.be.eq(0xFF),
            beats.data.eq(w.data),
        ]

        self.fsm = fsm = FSM(reset_state="IDLE")
        fsm.act(
            "IDLE",
            aw.ready.eq(1),
            NextValue(tlps.id, aw.id),
            NextValue(address, Cat(Signal(shift), aw.addr[shift:])),
            NextValue(start, Cat(Signal(shift), aw.addr[shift:])),
            NextValue(count, 0),
            If(
                aw.valid,
                NextState("REFUSE"),
                If(enable & (aw.burst == BURST_INCR) & (aw.size == shift), NextState("BEATS")),
            ),
        )
        take_full = [
            w.ready.eq(beats.ready & tlps.ready),
            beats.valid.eq(w.valid & tlps.ready),
            If(
                w.valid & w.ready,
                NextValue(address, following),
                NextValue(count, count + 1),
                If(
                    closed,
                    tlps.valid.eq(1),
                    tlps.send.eq(1),
                    tlps.len.eq((count + 1) * (bits // 32)),
                    tlps.end.eq(w.last),
                    NextValue(count, 0),
                    NextValue(start, following),
                    If(w.last, NextState("IDLE")),
                ),
            ),
        ]
        # The full beats before this one are a TLP.
        close = [
            tlps.valid.eq(w.valid),
            tlps.send.eq(1),
            tlps.len.eq(count * (bits // 32)),
            If(w.valid & tlps.ready, NextValue(count, 0)),
        ]
        take_pieces = [
            w.ready.eq(1),
            NextValue(pieces, w.data),
            NextValue(strobes, w.strb),
            NextValue(last, w.last),
            NextValue(upper, 0),
            NextValue(start, address),
            If(w.valid, NextValue(address, following), NextState("PIECES")),
        ]
        fsm.act("BEATS", If(full, *take_full).Elif(count != 0, *close).Else(*take_pieces))

        low, high = strobes[:4], strobes[4:8]
        whole, at_low, done = Signal(), Signal(), Signal()
        self.comb += [
            whole.eq(strobes[:8] == 0xFF),
            at_low.eq(~upper & (low != 0)),
            done.eq(whole | ~at_low | (high == 0)),  # after this piece, if any, the next 8 bytes follow
        ]
        fsm.act(
            "PIECES",
            tlps.send.eq((low != 0) & ~upper | (high != 0)),
            tlps.valid.eq(tlps.send & beats.ready),
            beats.valid.eq(tlps.send & tlps.ready),
            tlps.len.eq(Mux(whole, 2, 1)),
            tlps.be.eq(Mux(whole, 0xFF, Mux(at_low, low, high))),
            If(~whole & ~at_low, tlps.adr.eq(start + 4), beats.data.eq(pieces[32:])).Else(beats.data.eq(pieces)),
            If(
                ~tlps.send | (tlps.ready & beats.ready),
                NextValue(upper, 1),
                If(
                    done,
                    NextValue(upper, 0),
                    NextValue(pieces, pieces >> 64),
                    NextValue(strobes, strobes >> 8),
                    NextValue(start, start + 8),
                    If(
                        (strobes >> 8) == 0,
                        NextValue(start, address),
                        NextState("BEATS"),
                        If(last, NextState("END")),
                    ),
                ),
            ),
        )
        fsm.act("END", tlps.valid.eq(1), tlps.end.eq(1), If(tlps.ready, NextState("IDLE")))
        fsm.act(
            "REFUSE",
            w.ready.eq(tlps.ready),
            tlps.valid.eq(w.valid & w.last),
            tlps.end.eq(1),
            tlps.error.eq(1),
            If(w.valid & w.last & tlps.ready, NextState("IDLE")),
        )

    def _emit(self, port: Any, requester: Any, size: int) -> None:
        """Send the TLPs, each without a gap, and queue the response of a burst with its last beat."""
        tlp, beat, request, response = self.tlps.source, self.beats.source, port.source, self.responses.sink
        words = size // 4
        sent = Signal(max=PAYLOAD_MAX // size + 1)
        free = Signal()
        self.comb += [
            free.eq(~tlp.end | response.ready),
            request.channel.eq(port.channel),
            request.req_id.eq(requester),
            request.we.eq(1),
            request.adr.eq(tlp.adr),
            request.len.eq(tlp.len),
            request.tag.eq(tlp.be),
            request.dat.eq(beat.data),
            request.first.eq(sent == 0),
            request.last.eq((sent + 1) * words >= tlp.len),
            request.valid.eq(tlp.valid & tlp.send & beat.valid & free),
            beat.ready.eq(request.valid & request.ready),
            tlp.ready.eq(Mux(tlp.send, beat.ready & request.last, free)),
            response.valid.eq(tlp.valid & tlp.ready & tlp.end),
            response.id.eq(tlp.id),
            response.error.eq(tlp.error),
        ]
        self.sync += If(beat.ready, sent.eq(Mux(request.last, 0, sent + 1)))
