"""What LitePCIe 2024.12 lacks for strobes and failed reads, added to an endpoint.

The statements are appended to LitePCIe's own modules: of several assignments to a signal Migen takes the last one.

- A memory write TLP has no byte enables: its request has no field for them.  A posted write does not use its tag, so
  the write port of ``PCIeAXISlave`` carries them there: bits 3:0 the first, bits 7:4 the last byte enables.
- A TLP of two DWORDs is sent with all lanes of its beat enabled, and at 128 bit its second beat has two DWORDs too
  many, as the header inserter takes the enables of the previous beat from the wrong place.
- TLPs with headers of three and of four DWORDs (addresses below and above 4 GiB) disturb each other: the choice between
  the two header inserters follows the next request while the last beat of a TLP is still to be sent.
- A completion with the status UR or CA has no data and the length 0, so ``end``, which compares the length with the
  byte count, is not set: the tag of the request would never be free again.
- A poisoned completion (EP) is delivered as good data.
"""

from __future__ import annotations

from typing import Any

from litepcie.tlp.packetizer import LitePCIeTLPHeaderInserter3DWs4DWs
from migen import If, Signal

MEMORY_WRITE = 0b10
"""Fmt of a TLP with three DWORDs of header and with data (PCIe base specification, 2.2.1)."""


def extend_packetizer(endpoint: Any, channel: int) -> None:
    """Give the memory writes of crossbar port ``channel`` the byte enables in their tag."""
    packetizer = getattr(endpoint, "req_packetizer", None) or endpoint.packetizer
    request, tlp, beat = packetizer.req_sink, packetizer.tlp_req, packetizer.source
    packetizer.comb += If(
        request.we & (request.channel == channel),
        tlp.first_be.eq(request.tag[:4]),
        tlp.last_be.eq(request.tag[4:]),
        If(request.len == 2, tlp.be.eq(0xFF)),
    )
    if len(beat.dat) == 128:
        short = Signal()  # the last beat of a TLP whose second DWORD of data is in that beat
        packetizer.sync += If(
            beat.valid & beat.ready,
            short.eq(beat.first & (beat.dat[29:31] == MEMORY_WRITE) & (beat.dat[:10] == 2)),
        )
        packetizer.comb += If(short, beat.be[4:].eq(0))

    _keep_inserter(packetizer)


def _keep_inserter(packetizer: Any) -> None:
    """Let an inserter that has begun a TLP send all of it."""
    found = [module for _, module in packetizer._submodules if isinstance(module, LitePCIeTLPHeaderInserter3DWs4DWs)]
    (both,) = found
    three, four = (module for _, module in both._submodules)
    for active, other in ((three, four), (four, three)):
        both.comb += If(
            active.fsm.ongoing("DATA"),
            other.sink.valid.eq(0),
            other.source.ready.eq(0),
            both.sink.connect(active.sink),
            active.source.connect(both.source),
        )


def extend_depacketizer(endpoint: Any) -> None:
    """Report failed and poisoned completions as errors that end their request."""
    depacketizer = getattr(endpoint, "cmp_depacketizer", None) or endpoint.depacketizer
    completion, tlp = depacketizer.cmp_source, depacketizer.tlp_cmp
    depacketizer.comb += [
        If(tlp.status != 0, completion.end.eq(1)),
        If(tlp.ep, completion.err.eq(1)),
    ]
