"""AR and R of an AXI4 slave as memory read TLPs.

    AR --> check --> splitter ------------------------> crossbar: gives each request a tag
                        |
                        +---> FIFO of requests --+
                                                 v
    R <---------------------------------- collector <-- crossbar: completions in the order of the requests

The splitter cuts a burst at the multiples of the maximum read request size.  The crossbar allows as many requests as
the endpoint has ``max_pending_requests``, whatever their AXI ids; R has the order of AR.

A completion that reports an error ends its request: the beats that are missing follow with SLVERR.
"""

from __future__ import annotations

from typing import Any

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from litex.soc.interconnect.axi import BURST_INCR, RESP_OKAY, RESP_SLVERR
from migen import FSM, Cat, If, Mux, NextState, NextValue, Signal

from vnetcard.hdl.litex.endpoint import extend_depacketizer

REQUEST_MAX = 512
"""Bytes; the completion buffers of LitePCIe's crossbar hold no longer requests."""


class PCIeAXIRead(LiteXModule):
    """The read half of ``PCIeAXISlave``: full-width INCR bursts; any other burst is answered with SLVERR."""

    def __init__(self, endpoint: Any, axi: Any, enable: Any) -> None:
        port = endpoint.crossbar.get_master_port(read_only=True)
        extend_depacketizer(endpoint)
        most = max(256, REQUEST_MAX // (axi.data_width // 8))
        self.requests = stream.SyncFIFO(
            [("beats", most.bit_length()), ("error", 1), ("id", axi.id_width)],
            2 * endpoint.crossbar.max_pending_requests,
        )
        self._split(port, endpoint.phy, axi, enable)
        self._collect(port.sink, axi)

    def _split(self, port: Any, phy: Any, axi: Any, enable: Any) -> None:
        """Cut each burst into requests, two cycles each."""
        size = axi.data_width // 8
        shift = size.bit_length() - 1
        ar, request, queue = axi.ar, port.source, self.requests.sink

        boundary = Signal(9, reset=REQUEST_MAX - 1)  # maximum read request size - 1
        self.sync += boundary.eq(phy.max_request_size - 1)

        address = Signal(64)
        left = Signal(9)  # beats of the burst
        room = Signal(max=REQUEST_MAX // size + 1)  # beats up to the next boundary
        beats = Signal(9)  # of this request
        self.comb += [
            room.eq((boundary[shift:] & ~address[shift:9]) + 1),
            request.channel.eq(port.channel),
            request.req_id.eq(phy.id),
            request.first.eq(1),
            request.last.eq(1),
            request.adr.eq(address),
            request.len.eq(beats * (size // 4)),
            queue.beats.eq(beats),
            queue.last.eq(left == beats),
        ]
        self.split = fsm = FSM(reset_state="IDLE")
        fsm.act(
            "IDLE",
            ar.ready.eq(1),
            NextValue(address, Cat(Signal(shift), ar.addr[shift:])),
            NextValue(left, ar.len + 1),
            NextValue(beats, ar.len + 1),
            NextValue(queue.id, ar.id),
            If(
                ar.valid,
                NextState("REFUSE"),
                If(enable & (ar.burst == BURST_INCR) & (ar.size == shift), NextState("CUT")),
            ),
        )
        fsm.act("CUT", NextValue(beats, Mux(left < room, left, room)), NextState("SEND"))
        fsm.act(
            "SEND",
            request.valid.eq(queue.ready),
            queue.valid.eq(request.valid & request.ready),
            If(
                request.valid & request.ready,
                NextValue(address, address + Cat(Signal(shift), beats)),
                NextValue(left, left - beats),
                NextState("CUT"),
                If(queue.last, NextState("IDLE")),
            ),
        )
        fsm.act("REFUSE", queue.valid.eq(1), queue.error.eq(1), If(queue.ready, NextState("IDLE")))

    def _collect(self, completion: Any, axi: Any) -> None:
        """Return the beats of each request, as many as requested."""
        layout = [("data", axi.data_width), ("resp", 2), ("id", axi.id_width)]
        self.buffer = stream.Buffer(layout)
        r, out, head = axi.r, self.buffer.sink, self.requests.source
        self.comb += [
            r.valid.eq(self.buffer.source.valid),
            r.data.eq(self.buffer.source.data),
            r.resp.eq(self.buffer.source.resp),
            r.id.eq(self.buffer.source.id),
            r.last.eq(self.buffer.source.last),
            self.buffer.source.ready.eq(r.ready),
        ]

        done = Signal(9)  # beats of the request returned so far
        failed = Signal()  # a beat of the request failed
        complete, last = Signal(), Signal()
        self.comb += [
            complete.eq(completion.last & completion.end),
            last.eq(done + 1 == head.beats),
            out.data.eq(completion.dat),
            out.id.eq(head.id),
            out.last.eq(last & head.last),
        ]
        next_beat = [NextValue(done, done + 1)]
        next_request = [head.ready.eq(1), NextValue(done, 0), NextValue(failed, 0), NextState("DATA")]
        fill = [
            out.valid.eq(head.valid),
            out.resp.eq(RESP_SLVERR),
            If(out.valid & out.ready, *next_beat, If(last, *next_request)),
        ]
        self.collect = fsm = FSM(reset_state="DATA")
        fsm.act(
            "DATA",
            If(head.error, *fill).Else(
                out.valid.eq(head.valid & completion.valid),
                out.resp.eq(Mux(failed | completion.err, RESP_SLVERR, RESP_OKAY)),
                completion.ready.eq(head.valid & out.ready),
                If(
                    completion.valid & completion.ready,
                    *next_beat,
                    NextValue(failed, failed | completion.err),
                    If(last & complete, *next_request).Elif(complete, NextState("FILL")).Elif(last, NextState("DROP")),
                ),
            ),
        )
        fsm.act("FILL", *fill)
        # More data than requested.
        fsm.act("DROP", completion.ready.eq(1), If(completion.valid & complete, *next_request))
