"""The proofs: their depths, and the bugs that each must detect."""

from __future__ import annotations

from vnetcard.hdl.formal.flow import Bug, Proof
from vnetcard.hdl.formal.proofs_clocks import CDC_FIFO, CDC_LINK, ISOLATE

FIFO = Proof(
    name="fifo",
    depth=3,
    reach=14,
    bugs=(
        Bug("vnc_fifo.sv", "== (PtrW + 1)'(Depth);", "== (PtrW + 1)'(Depth + 1);", "a_used_at_most_depth"),
        Bug("vnc_fifo.sv", "(!read_valid_q || read_ready)", "1'b1", "a_output_is_stable"),
        Bug(
            "vnc_fifo.sv",
            "mem[wr_q[PtrW-1:0]] <=",
            "mem[wr_q[PtrW-1:0] ^ PtrW'(wr_q[PtrW])] <=",
            "a_followed_keeps_its_place",
        ),
    ),
)

ADDRESS = Proof(
    name="address",
    depth=1,
    reach=2,
    bugs=(
        Bug("vnc_address.sv", " & window_mask_i}", "}", "a_offset_within_the_window"),
        Bug("vnc_address.sv", "base_i + ", "base_i - ", "a_not_below_the_base"),
        Bug("vnc_address.sv", "offset_i & window", "(offset_i + 30'd64) & window", "a_offset_in_the_window_kept"),
    ),
)

CONFIG = Proof(
    name="config",
    depth=4,
    reach=5,
    bugs=(
        Bug("vnc_config_check.sv", "log2 >= 5'd14", "log2 >= 5'd11", "a_window_mask_is_a_size"),
        Bug("vnc_config_check.sv", "&& at != '1", "", "a_window_not_at_the_end"),
        Bug("vnc_config_check.sv", "&& h2c_end_q[n] <= window_end_q[n]", "", "a_ring_smaller_than_both_windows"),
        Bug("vnc_config_check.sv", "c2h_end_q[n] <= window_end_q[n]", "1'b1", "a_rings_end_in_the_window"),
        Bug("vnc_config_check.sv", "&& apart == 2'b11", "", "a_rings_are_apart"),
        Bug("vnc_config_check.sv", "c2h_first_q[n] != '0", "1'b1", "a_rings_are_behind_the_index_lines"),
    ),
)

READ_PORT = Proof(
    name="read_port",
    depth=2,
    reach=12,
    bugs=(
        Bug("vnc_read_port.sv", "(!m_ar_valid_o || m_ar_ready_i)", "1'b1", "a_ar_is_stable"),
        Bug(
            "vnc_read_port.sv",
            ".window_mask_i, .offset_i",
            ".window_mask_i('1), .offset_i",
            "a_address_masked_into_the_window",
        ),
        Bug(
            "vnc_read_port.sv",
            "m_r_valid_i && m_r_id_i == 2'(n)",
            "m_r_valid_i && m_r_id_i >= 2'(n)",
            "a_beat_to_its_requester",
        ),
        Bug(
            "vnc_read_port.sv",
            "if (take) last_served_q <= pick;",
            "if (take) last_served_q <= '0;",
            "a_served_after_at_most_three_others",
        ),
    ),
)

WRITE_PORT = Proof(
    name="write_port",
    depth=2,
    reach=16,
    bugs=(
        Bug("vnc_write_port.sv", "(!m_aw_valid_o || m_aw_ready_i)", "1'b1", "a_aw_is_stable"),
        Bug("vnc_write_port.sv", "m_w_last_o  = burst_last_i;", "m_w_last_o  = 1'b1;", "a_wlast_on_the_last_beat"),
        Bug("vnc_write_port.sv", "    if (pop || !first_valid_q) begin", "    if (1'b1) begin", "a_w_is_stable"),
        Bug("vnc_write_port.sv", "!second_valid_q && !picked_q;", "!picked_q;", "a_word_as_requested"),
        Bug(
            "vnc_write_port.sv",
            ".window_mask_i, .offset_i",
            ".window_mask_i('1), .offset_i",
            "a_address_masked_into_the_window",
        ),
        Bug(
            "vnc_write_port.sv",
            "done_o[m_b_id_i] = m_b_valid_i;",
            "done_o[m_b_id_i[0]] = m_b_valid_i;",
            "a_response_to_its_requester",
        ),
        Bug(
            "vnc_write_port.sv",
            "if (take) last_served_q <= pick;",
            "if (take) last_served_q <= '0;",
            "a_served_after_at_most_three_others",
        ),
    ),
)

SIDE_MOVER = Proof(
    name="side_mover",
    depth=2,
    reach=16,
    bugs=(
        Bug(
            "vnc_side_mover.sv",
            "read_done || body_done || head_done",
            "read_done || (state_q == Body && w_ready_i) || head_done",
            "a_rest_before_the_head",
        ),
        Bug(
            "vnc_side_mover.sv",
            "state_q == Body && !stop && !fault && b_valid_i;",
            "state_q == Body && !stop && !fault && aw_ready_i;",
            "a_one_request_at_a_time",
        ),
        Bug(
            "vnc_side_mover.sv",
            "assign failed   = (state_q == Read && r_valid_i && r_error_i) ||",
            "assign failed   =",
            "a_writes_only_a_line_read_whole",
        ),
        Bug(
            "vnc_side_mover.sv",
            "(writing && b_valid_i && b_error_i)",
            "(state_q == Head && b_valid_i && b_error_i)",
            "a_head_only_after_the_rest_was_acknowledged",
        ),
        Bug(
            "vnc_side_mover.sv",
            "else if (doorbell_valid_i) pending_q",
            "else if (doorbell_valid_i && state_q == Idle) pending_q",
            "a_idle_means_the_last_doorbell_was_copied",
        ),
        Bug("vnc_side_mover.sv", "head_q ? HeadStrb", "head_q ? '1", "a_head_writes_eight_bytes"),
        Bug(
            "vnc_side_mover.sv",
            "if (copied) done_q <= taken_q;",
            "if (copied) done_q <= doorbell_i;",
            "a_done_is_the_doorbell_before_the_read",
        ),
        Bug("vnc_side_mover.sv", "(state_q == Off && config_ok_i)", "state_q == Off", "a_leaves_off_only_when_allowed"),
        Bug(
            "vnc_side_mover.sv",
            "judge_q && same_q;",
            "judge_q;",
            "a_done_only_when_the_head_shows",
        ),
        Bug(
            "vnc_side_mover.sv",
            "assign head_done = state_q == Head && !stop && !fault && b_valid_i;",
            "assign head_done = state_q == Head && !stop && !fault && w_ready_i;",
            "a_head_read_only_after_it_was_acknowledged",
        ),
    ),
)

READ_SHARE = Proof(
    name="read_share",
    depth=2,
    reach=8,
    bugs=(
        Bug("vnc_read_share.sv", "req_valid_i != '0 && !busy_q", "req_valid_i != '0", "a_one_read_at_a_time"),
        Bug("vnc_read_share.sv", "r_valid_o[last_q]", "r_valid_o[pick]", "a_beat_to_the_one_that_asked"),
        Bug(
            "vnc_read_share.sv",
            "req_valid_i[!last_q] ? !last_q : last_q",
            "!req_valid_i[0]",
            "a_served_after_at_most_one_other",
        ),
    ),
)

WATCHDOG = Proof(
    name="watchdog",
    depth=24,
    reach=40,
    bugs=(
        Bug("vnc_watchdog.sv", "Old = 3'd5", "Old = 3'd2", "a_not_before_the_limit"),
        Bug("vnc_watchdog.sv", "Old = 3'd5", "Old = 3'd7", "a_at_the_latest_a_quarter_later"),
        Bug(
            "vnc_watchdog.sv",
            "~busy_i | progress_i",
            "~busy_i | {Clients{progress_i != '0}}",
            "a_at_the_latest_a_quarter_later",
        ),
    ),
)

AXIL_REGS = Proof(
    name="axil_regs",
    depth=2,
    reach=9,
    bugs=(
        Bug("vnc_axil_regs.sv", "write_q && !locked", "write_q", "a_locked_configuration_is_stable"),
        Bug("vnc_axil_regs.sv", "enable_o || !direction_i[0].off", "enable_o", "a_locked_configuration_is_stable"),
        Bug("vnc_axil_regs.sv", "&& w_strb_i == 4'hf", "", "a_prod_doorbell_once_per_write"),
        Bug(
            "vnc_axil_regs.sv",
            "ar_ready_o = !read_q && !r_valid_o",
            "ar_ready_o = !read_q",
            "a_r_is_stable",
        ),
        Bug("vnc_axil_regs.sv", "{data_q[31:12], 12'b0}", "data_q", "a_base_on_a_page"),
        Bug(
            "vnc_irq.sv",
            "(status_o & ~clear_i) | {events_q[Bits-1:2], fire ? held_q : 2'b00}",
            "(status_o | {events_q[Bits-1:2], fire ? held_q : 2'b00}) & ~clear_i",
            "a_event_is_never_lost",
        ),
        Bug(
            "vnc_irq.sv",
            "(fire ? 2'b00 : held_q) | events_q[1:0]",
            "fire ? 2'b00 : held_q | events_q[1:0]",
            "a_event_is_never_lost",
        ),
    ),
)

ENGINE = Proof(
    name="engine",
    depth=2,
    reach=12,
    models={"vnc_mover.sv": "mover_model.sv", "vnc_side_mover.sv": "side_mover_model.sv"},
    bugs=(
        Bug(
            "vnc_engine.sv", "side[1].off && !both_enabled_q;", "side[1].off;", "a_configuration_is_stable_while_in_use"
        ),
        Bug(
            "vnc_engine.sv",
            "always_ff @(posedge clk_i) both_enabled_q <= rst_ni && enable == 2'b11;",
            "assign both_enabled_q = enable == 2'b11;",
            "a_masks_are_those_of_the_configuration",
        ),
        Bug(
            "vnc_engine.sv",
            "assign sides_off = side[0].off && side[1].off",
            "assign sides_off = side[0].off",
            "a_reads_inside_the_window",
        ),
    ),
)

MOVER = Proof(
    name="mover",
    depth=1,
    reach=24,
    models={"vnc_fifo.sv": "fifo_model.sv"},
    slow=frozenset(
        {
            "a_acknowledged_behind_written",
            "a_planned_behind_target",
            "a_published_behind_acknowledged",
            "a_published_only_when_acknowledged",
            "a_read_behind_planned",
            "a_reads_only_produced_bytes",
            "a_target_within_a_ring",
            "a_writes_only_into_free_space",
            "a_written_behind_read",
            "i_doorbells_behind_queued",
            "i_doorbells_in_order",
            "i_next_behind_queued",
            "i_limit",
            "i_prod_check",
        }
    ),
    bugs=(
        Bug(
            "vnc_publisher.sv",
            "head_valid && !covered_q && !ahead[25]",
            "head_valid && !covered_q",
            "a_published_only_when_acknowledged",
        ),
        Bug("vnc_doorbell.sv", "step_q <= room_q", "1'b1", "a_target_within_a_ring"),
        Bug("vnc_planner.sv", "7'(BurstLines) - 7'(low)", "7'(BurstLines)", "a_reads_stay_in_their_page"),
        Bug("vnc_mover.sv", "quiet   = !reading && ", "quiet   = ", "a_off_means_nothing_outstanding"),
        Bug(
            "vnc_index_word.sv",
            "if (word_ready_i) state_q <= Wait;",
            "if (word_ready_i) state_q <= Wait; else if (!run_i) state_q <= Idle;",
            "a_prod_word_is_stable",
        ),
        Bug(
            "vnc_reader.sv",
            "ar_offset_o <= ring_i + (burst_i.index",
            "ar_offset_o <= (burst_i.index",
            "a_reads_follow_the_ring",
        ),
        Bug(
            "vnc_mover.sv",
            "&& config_ok_i && side_up_i;",
            "&& side_up_i;",
            "a_requests_only_with_a_valid_configuration",
        ),
    ),
)

PROOFS = (
    FIFO,
    ADDRESS,
    CONFIG,
    READ_PORT,
    WRITE_PORT,
    READ_SHARE,
    WATCHDOG,
    SIDE_MOVER,
    AXIL_REGS,
    ENGINE,
    MOVER,
    ISOLATE,
    CDC_FIFO,
    CDC_LINK,
)
