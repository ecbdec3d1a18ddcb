"""Bugs in the stream port and in what surrounds it on a card; ``test_stream_mutations.py`` seeds them."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

READER, WRITER, PORT = (f"stream/vnc_stream_{name}.sv" for name in ("reader", "writer", "port"))
REGS, RAM, DOORBELL = (f"stream/vnc_stream_{name}.sv" for name in ("regs", "ram", "doorbell"))
ORDER = "packets_arrive_in_order_in_both_directions"
SIZES = "packets_of_every_size_arrive"
FULL = "full_ring_and_stalled_stream_hold_everything"
RECORD = "violating_record_halts_before_the_stream"
INDEX = "impossible_index_halts_the_direction"
EPOCH = "another_epoch_of_the_peer_stops_without_a_violation"
MALFORMED = "malformed_packet_of_the_stream_is_discarded_and_counted"
STOP = "stop_in_mid_packet_cuts_no_packet"
CONFIG = "invalid_configuration_halts_both_directions"
ECHO = "packets_of_the_host_come_back"
CONTROL = "control_plane_works_during_traffic"

PORT_ALONE = (
    Mutation(
        "record beyond prod accepted", "vnc_stream_pkg::record_bytes(head_len[16:0]) > filled", "1'b0",
        "bytes that the peer has not published enter the stream", (RECORD,), READER,
    ),
    Mutation(
        "sequence number ignored", "else if (head_seq != seq_q)", "else if (1'b0)",
        "a lost or repeated record is not detected", (RECORD,), READER,
    ),
    Mutation(
        "VNET that was not agreed accepted", "16'(vnet_i ? vnc_pkg::RecVnet : 0)", "16'(vnc_pkg::RecVnet)",
        "packets with offloads reach logic that knows none", (RECORD,), READER,
    ),
    Mutation(
        "hdr_len may be the whole record", "32'(head_vnet) >= head_len || ", "", "a packet without a packet",
        (RECORD,), READER,
    ),
    Mutation(
        "epoch of the peer ignored by the reader", "rd_data_i[31:0] == epoch_i ? Judge : Halt", "Judge",
        "records of the next generation are delivered in this one", (EPOCH,), READER,
    ),
    Mutation(
        "prod one line beyond the ring accepted", "fill > mask + 32'd1", "fill > mask + 32'd65",
        "records are read that are being overwritten", (INDEX,), READER,
    ),
    Mutation(
        "TKEEP of the last beat all ones", "assign keep = last ?", "assign keep = 1'b0 ?",
        "padding is appended to packets", (SIZES,), READER,
    ),
    Mutation(
        "payload read without the ring mask", "ring_i + 30'(at_q & mask)", "ring_i + 30'(at_q)",
        "reads outside of the ring from its second lap on", (ORDER,), READER,
    ),
    Mutation(
        "more beats read than the FIFO holds", "held_q < 5'(Depth - 1)", "held_q < 5'(Depth + 8)",
        "beats are lost while the stream is stalled", (FULL, ORDER), READER,
    ),
    Mutation(
        "cons word of the record before", "assign word_o       = next_q;", "assign word_o       = cons_q;",
        "the peer never gets its last space back", (ORDER,), READER,
    ),
    Mutation(
        "room for the header not counted", "32'(len_q) + vnc_pkg::RecordHeader + 32'(Bytes) <= room",
        "32'(len_q) + 32'(Bytes) <= room", "unread bytes of the peer are overwritten", (FULL,), WRITER,
    ),
    Mutation(
        "cons of the peer not checked", "|| prod_q - seen_q > prod_q - cons_q", "",
        "a hostile cons lets the port overwrite unread records", (INDEX,), WRITER,
    ),
    Mutation(
        "hole in TKEEP accepted", "(keep & (keep + 1'b1)) != '0 || ", "", "a packet with bytes that are not its own",
        (MALFORMED,), WRITER,
    ),
    Mutation(
        "short beat in mid-packet accepted", "(!last && keep != '1) ||", "", "a packet with bytes that are not its own",
        (MALFORMED,), WRITER,
    ),
    Mutation(
        "packet one byte too long accepted", "> 18'(limit);", "> 18'(limit) + 18'd1;",
        "a record above the agreed size", (MALFORMED,), WRITER,
    ),
    Mutation(
        "discarding ends at any beat", "Discard: if (valid && last)", "Discard: if (valid)",
        "the rest of a discarded packet is taken for a packet", (MALFORMED,), WRITER,
    ),
    Mutation(
        "packet cut by a stop continues", "state_q <= middle_q ? Discard : Body;", "state_q <= Body;",
        "a packet of two generations", (STOP,), WRITER,
    ),
    Mutation(
        "record number not reset", "            seq_q  <= '0;", "            seq_q  <= seq_q;",
        "the peer restarts the link at each generation", (RECORD,), WRITER,
    ),
    Mutation(
        "ring behind the window accepted",
        "{2'b0, ring} + (32'd1 << log2) <= (32'd1 << window_log2)", "1'b1", "addresses wrap to the side blocks",
        (CONFIG,), "stream/vnc_stream_pkg.sv",
    ),
    Mutation(
        "answer to the wrong end", "read_q <= read_grant;", "read_q <= {read_grant[0], read_grant[1]};",
        "an end takes the other one's word", (ORDER,), PORT,
    ),
    Mutation(
        "beat lost to a cons word", "wr_ready_i && !word_valid", "wr_ready_i",
        "a beat counts as stored while a cons word was", (ORDER,), PORT,
    ),
)  # fmt: skip
"""Seeded with the port alone."""

WHOLE_CARD = (
    Mutation(
        "strobes ignored by the RAM", "if (write && write_strb[n])", "if (write)",
        "an index word overwrites its neighbours", (CONTROL, ECHO), RAM,
    ),
    Mutation(
        "address of the RAM stands still", "w_at_q <= w_at_q + 1'b1;", "w_at_q <= w_at_q;",
        "all beats of a burst in one word", (ECHO,), RAM,
    ),
    Mutation(
        "cons rings the doorbell of prod", "12'(vnc_pkg::RegRxCons) : s_axil", "12'(vnc_pkg::RegTxProd) : s_axil",
        "the host never gets its space back", (ECHO,), DOORBELL,
    ),
    Mutation(
        "doorbell lost to the other one", "else if (state_q == Idle && !tx_due_q) rx_due_q",
        "else if (state_q == Idle) rx_due_q",
        "a cons is not passed on", (ECHO,), DOORBELL,
    ),
    Mutation(
        "configuration not locked", "      if (!locked) begin", "      if (1'b1) begin",
        "a ring moves under a running port", (CONTROL,), REGS,
    ),
    Mutation(
        "part of a word written to a register", "waddr_q[20] && wstrb_q == '1)", "waddr_q[20])",
        "a byte store changes a register", (CONTROL,), REGS,
    ),
)  # fmt: skip
"""Seeded with the engine, the RAM and an echo."""
