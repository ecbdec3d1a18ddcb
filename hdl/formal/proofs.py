"""Which proofs there are, how deep, and the bugs that each must notice."""

from __future__ import annotations

from vnetcard.hdl.formal.flow import Bug, Proof

PROOFS = (
    Proof(
        name="fifo",
        module="vnc_fifo",
        files=("vnc_fifo.sv",),
        depth=3,
        reach=20,
        bugs=(
            Bug("vnc_fifo.sv", "== (PtrW + 1)'(Depth);", "== (PtrW + 1)'(Depth + 1);", "a_used_at_most_depth"),
            Bug("vnc_fifo.sv", "(!read_valid_q || read_ready)", "1'b1", "a_output_stands_still"),
            Bug(
                "vnc_fifo.sv",
                "mem[wr_q[PtrW-1:0]] <=",
                "mem[wr_q[PtrW-1:0] ^ PtrW'(wr_q[PtrW])] <=",
                "a_followed_keeps_its_place",
            ),
        ),
    ),
)
