"""Bugs in the data path: moving bytes, the ports of the masters, bus errors."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

ANY = "random_doorbells_match_the_model"
STALLED = "random_doorbells_match_the_model_under_stalls"
RESET = "reset_in_mid_burst_drains_and_restarts"
READ = "read_error_halts_one_direction"
WRITE = "write_error_halts_one_direction"
WORD = "index_word_error_halts_one_direction"
BAD = "invalid_index_halts_the_direction"
WRAP = "indices_wrap_at_2_to_the_32"
HELD = "stalled_writes_lose_nothing"
BACKLOG = "backlog_of_doorbells_is_published_in_small_steps"

MOVING = (
    Mutation(
        "B wait missing", "if (b_valid_i && !b_error_i && !failed_q) acked_q <= acked_q + {19'b0, ack_lines, 6'b0};",
        "if (accepted) acked_q <= acked_q + {19'b0, lines_q, 6'b0};",
        "an index is published while its bytes are outstanding", (ANY,),
    ),
    Mutation(
        "publishes at the first B", "covered_q <= head_valid && !covered_q && !ahead[25];",
        "covered_q <= head_valid && !covered_q && acked_i[31:6] != next_q;",
        "an index covers bytes that are not acknowledged", (ANY,),
    ),
    Mutation(
        "publishes the target", "assign value_o = {next_q, 6'b0};", "assign value_o = {queued_q, 6'b0};",
        "the index of a later doorbell is published with the bytes of an earlier one", (ANY,),
    ),
    Mutation(
        "burst one line too long", "7'(BurstLines) - 7'(low);", "7'(BurstLines) - 7'(low) + 7'd1;",
        "off by one at the wrap: a burst crosses its boundary", (ANY,),
    ),
    Mutation(
        "burst starts at any line", "7'(BurstLines) - 7'(low);", "7'(BurstLines) - 7'(low) + 7'(low);",
        "a burst crosses 4 KiB and the ring's end", (ANY,),
    ),
    Mutation(
        "ring mask missing at the source", "ring_i + (burst_i.index & ring_mask_i)", "ring_i + burst_i.index",
        "the second lap reads beyond the ring", (ANY,),
    ),
    Mutation(
        "ring mask missing at the destination", "ring_i + (whole_i.index & ring_mask_i)", "ring_i + whole_i.index",
        "the second lap writes beyond the ring", (ANY,),
    ),
    Mutation(
        "destination ring of the other side", ".dst_ring_i(n == Host ? h2c_ring[Peer] : c2h_ring[Peer])",
        ".dst_ring_i(n == Host ? h2c_ring[n] : c2h_ring[n])", "data goes where the source's ring would be",
        ("rings_may_be_placed_anywhere",),
    ),
    Mutation(
        "directions swapped", ".src_ring_i(n == Host ? h2c_ring[n] : c2h_ring[n])",
        ".src_ring_i(n == Host ? c2h_ring[n] : h2c_ring[n])", "each direction moves the other's bytes", (ANY,),
    ),
    Mutation(
        "doorbell during a check lost", "(valid_i || pending_q) && !check;", "valid_i && !check;",
        "a doorbell in the wrong cycle is lost", ("back_to_back_doorbells_are_all_published",),
    ),
    Mutation(
        "doorbells of the sides swapped",
        ".prod_valid_i(prod_doorbell_valid[n])", ".prod_valid_i(prod_doorbell_valid[Peer])",
        "a doorbell moves the wrong direction", (ANY,),
    ),
    Mutation(
        "publisher drops a doorbell", "if (push) queued_q <= latest_q;", "queued_q <= latest_q;",
        "the last index is never published when doorbells come fast", (HELD, ANY),
    ),
    Mutation(
        "every doorbell queued", "&& (!half_q || far_q) && ready", "&& ready",
        "a full queue merges all later doorbells", (BACKLOG,),
    ),
    Mutation(
        "queue merges whole rings", "part_mask = ring_mask_i[29:6] >> 5", "part_mask = ring_mask_i[29:6]",
        "a backlog becomes visible at once", (BACKLOG,),
    ),
    Mutation(
        "far doorbells not queued", "far_q   <= (beyond[23:0] & ~part_mask) != '0", "far_q   <= 1'b0",
        "a backlog becomes visible at once", (BACKLOG,),
    ),
    Mutation(
        "waiting doorbell never queued",
        "half_q  <= count_q >= CountW'(Depth / 2)", "half_q  <= half_q || count_q != '0",
        "the last index is never published", (BACKLOG, ANY),
    ),
    Mutation(
        "no room reserved in the FIFO", "has_room_q <= 32'(free_q) >= BurstBeats;", "has_room_q <= 1'b1;",
        "R beats are lost at a full FIFO", (HELD,),
    ),
    Mutation(
        "room used one cycle early", "&& has_room_q && !taken_q && queue_ready", "&& has_room_q && queue_ready",
        "one burst too many is requested", (HELD,),
        survives="in the cycle after a burst was taken its request is pending, so no other is taken: taken_q changes "
        "nothing (proof mover, i_taken)",
    ),
    Mutation(
        "room returned twice", "+ FreeW'(beat);", "+ FreeW'(beat) + FreeW'(beat);",
        "more beats are requested than the FIFO holds", (WRAP,),
    ),
    Mutation(
        "AW before its burst is read", "assign whole_valid_o = whole_q != '0 && queue_valid;",
        "assign whole_valid_o = queue_valid;", "a failed read leaves half a burst on the write side", (READ,),
    ),
    Mutation(
        "start index ignored by the planner", "planned_q     <= start_i[31:6];", "planned_q     <= '0;",
        "after a start elsewhere than 0 the wrong bytes move", (WRAP,),
    ),
    Mutation(
        "WLAST one beat early", "left_q == 9'd1", "left_q == 9'd2", "WLAST on the wrong beat", (ANY,),
    ),
    Mutation(
        "WLAST dropped from the port", "m_w_last_o  = burst_last_i;", "m_w_last_o  = 1'b0;", "no WLAST at all", (ANY,),
    ),
    Mutation(
        "index compared with too few bits", "!ahead[25]", "!ahead[10]", "the wrap at 2 ** 32, or a large ring",
        ("large_records_wrap_at_ring_end_and_index_end",),
    ),
    Mutation(
        "FIFO not emptied by a reset", "if (!rst_ni || clear_i) begin", "if (!rst_ni) begin",
        "beats from before the reset are written after it", (RESET, READ), file="vnc_fifo.sv",
    ),
    Mutation(
        "cons word of the wrong value",
        ".due_i(cons_due_q), .next_i(consumed)", ".due_i(cons_due_q), .next_i(published)",
        "the producer overwrites what was not consumed", (ANY,),
    ),
    Mutation(
        "cons never sent twice", "cons_due_q <= consumed != cons_sent;", "cons_due_q <= cons_sent == start_i;",
        "cons is returned only once", (ANY,),
    ),
)  # fmt: skip
"""Bytes, bursts and indices."""

PORTS = (
    Mutation(
        "AW withdrawn", "else if (m_aw_ready_i) m_aw_valid_o <= 1'b0;", "else m_aw_valid_o <= 1'b0;",
        "AWVALID falls before AWREADY", (STALLED,),
    ),
    Mutation(
        "AR withdrawn", "else if (m_ar_ready_i) m_ar_valid_o <= 1'b0;", "else m_ar_valid_o <= 1'b0;",
        "ARVALID falls before ARREADY", (STALLED,),
    ),
    Mutation(
        "write ids swapped", "m_aw_id_o   <= beats_q.id;", "m_aw_id_o   <= beats_q.id ^ 2'd1;",
        "a response goes to the wrong requester", (ANY,),
    ),
    Mutation(
        "index word with all strobes", "m_w_strb_o  = (DataW / 8)'(4'hf);", "m_w_strb_o  = '1;",
        "an index word overwrites need_wakeup", (ANY,),
    ),
    Mutation(
        "prod and cons words swapped", "word: word_i[pick == Cons]", "word: word_i[pick == Prod]",
        "each index is written to the other's line", (ANY,),
    ),
    Mutation(
        "beats out of order", "&& !second_valid_q && !picked_q;", "&& !picked_q;",
        "W does not follow AW", (STALLED, ANY),
    ),
    Mutation(
        "third address is sent", "assign move = picked_q && !second_valid_q && ", "assign move = picked_q && ",
        "the beats of a burst are lost", (STALLED, HELD),
        survives="a request is picked only while no second one waits for W, and none starts to wait while it is picked "
        "(proof write_port, i_one_at_most_waits)",
    ),
    Mutation(
        "write port ignores a requester", "for (logic [2:0] n = 3'd4; n > 0; n--) begin",
        "for (logic [2:0] n = 3'd2; n > 0; n--) begin", "a request is taken from a requester that has none", (ANY,),
    ),
    Mutation(
        "read data to all requesters", "= m_r_valid_i && m_r_id_i == 2'(n);", "= m_r_valid_i;",
        "beats of the side block enter the ring", ("side_block_error_halts_only_that_side_mover",),
    ),
)  # fmt: skip
"""The ports of the masters."""

ERRORS = (
    Mutation(
        "BRESP ignored", "if (b_valid_i && b_error_i) failed_q <= 1'b1;", "",
        "a failed write does not halt", (WRITE,),
    ),
    Mutation(
        "failed write counts as acknowledged", "if (b_valid_i && !b_error_i && !failed_q) acked_q",
        "if (b_valid_i) acked_q", "the index of a failed write is published", (WRITE,),
    ),
    Mutation(
        "a later B stands in for a failed one", "if (b_valid_i && !b_error_i && !failed_q) acked_q",
        "if (b_valid_i && !b_error_i) acked_q", "the index of a failed write is published", (WRITE,),
        survives="the direction halts three cycles after the failed response, one before a count that moved after it "
        "is due, and the address is latched with the fault",
    ),
    Mutation(
        "RRESP ignored", "if (r_valid_i && r_error_i) failed_q <= 1'b1;", "",
        "a failed read does not halt", (READ,),
    ),
    Mutation(
        "only DECERR is an error", "assign error_o     = m_b_resp_i[1];", "assign error_o     = &m_b_resp_i;",
        "SLVERR on B is taken for OKAY", (WRITE,),
    ),
    Mutation(
        "only SLVERR is a read error", "assign r_error_o   = m_r_resp_i[1];",
        "assign r_error_o   = m_r_resp_i == 2'b10;", "DECERR on R is taken for OKAY", (READ,),
    ),
    Mutation(
        "read error seen on the last beat only", "if (r_valid_i && r_error_i) failed_q <= 1'b1;",
        "if (r_valid_i && r_error_i && r_last_i) failed_q <= 1'b1;", "an error in mid-burst is missed", (READ,),
    ),
    Mutation(
        "beats after a failed one count", "&& !r_error_i && !failed_q;", "&& !r_error_i;",
        "a burst with a failed beat is written", (READ, "error_on_any_read_beat_is_latched"),
        survives="its write would be requested three cycles after the failed beat, when the direction has halted, and "
        "the address is latched with the fault",
    ),
    Mutation(
        "failed word counts as shown", "assign good    = state_q == Wait && word_done_i && !word_error_i;",
        "assign good    = state_q == Wait && word_done_i;", "tx_published shows an index that is not visible", (WORD,),
    ),
    Mutation(
        "failed word does not halt", "word_done_i && word_error_i) word_failed_q <= 1'b1;",
        "word_done_i && word_error_i) word_failed_q <= 1'b0;", "the consumer waits for the index indefinitely", (WORD,),
    ),
    Mutation(
        "RUN after a failed start word", "&& !prod_word_failed && !cons_word_failed &&", "&&",
        "RUN is set although a side has no start index", ("start_word_error_halts_before_running",),
    ),
    Mutation(
        "prod limit one line too wide", "+ {2'b0, ring_mask_i} + 32'd1;", "+ {2'b0, ring_mask_i} + 32'd65;",
        "unread bytes are overwritten", (BAD,),
    ),
    Mutation(
        "low bits of a doorbell ignored", "value_q[5:0] == '0 && ", "", "an index inside a line is accepted", (BAD,),
    ),
    Mutation(
        "cons limit is the target", ".limit_i(offered)", ".limit_i(target + 32'd64)",
        "a consumer frees bytes that were not published", (BAD,),
    ),
    Mutation(
        "causes of bad indices swapped", "prod_bad_q ? vnc_pkg::CauseBadProd : vnc_pkg::CauseBadCons",
        "prod_bad_q ? vnc_pkg::CauseBadCons : vnc_pkg::CauseBadProd", "the cause names the wrong side", (BAD,),
    ),
    Mutation(
        "fault address of the wrong memory", "channel_q == Write || channel_q == ProdWord ||",
        "channel_q == ProdWord ||", "the latched address is of neither memory", (WRITE,),
    ),
)  # fmt: skip
"""Bus errors and impossible indices."""
