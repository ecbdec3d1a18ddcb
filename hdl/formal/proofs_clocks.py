"""The proofs of the modules between a bus and the engine of ``vnc_card_top``, and the bugs that each must detect."""

from __future__ import annotations

from vnetcard.hdl.formal.flow import Bug, Proof

ISOLATE = Proof(
    name="isolate",
    depth=2,
    reach=14,
    bugs=(
        Bug("vnc_isolate.sv", "!s_lost_i && w_open &&", "!s_lost_i &&", "a_w_after_its_address"),
        Bug(
            "vnc_isolate.sv",
            "if (w_take) w_beat_q <= w_done ?",
            "if (s_w_valid_i && s_w_ready_o) w_beat_q <= w_done ?",
            "a_wlast_on_the_last_beat",
        ),
        Bug("vnc_isolate.sv", "(state_q == Drain && w_open && w_free)", "1'b0", "a_missing_beats_follow"),
        Bug("vnc_isolate.sv", "state_q == Drain ? '0 : s_w_strb_i", "s_w_strb_i", "a_missing_beats_write_nothing"),
        Bug(
            "vnc_isolate.sv",
            "assign r_id        = state_q == Local ?",
            "assign r_id        = passes ?",
            "a_r_forwarded",
        ),
        Bug(
            "vnc_isolate.sv",
            "if (owed_q[n] != '0) begin",
            "if (owed_q[n] != '0 || w_open) begin",
            "a_b_is_owed",
        ),
        Bug("vnc_isolate.sv", "|| (s_lost_i && state_q == Local);", ";", "a_b_is_owed"),
        Bug(
            "vnc_isolate.sv",
            "if (!rst_ni || m_lost_i) state_q <= Local;",
            "if (!rst_ni) state_q <= Local;",
            "a_lost_slave_is_answered_for",
        ),
        Bug(
            "vnc_isolate.sv",
            "    else if (writes_q == '0 && reads_q == '0) state_q <= Local;",
            "    else if (writes_q == '0) state_q <= Local;",
            "a_isolated_waits_for_nothing",
        ),
        Bug(
            "vnc_isolate.sv",
            "if (!rst_ni || m_lost_i) m_w_valid_o <= 1'b0;",
            "if (!rst_ni || m_lost_i || s_lost_i) m_w_valid_o <= 1'b0;",
            "a_w_is_stable",
        ),
        Bug(
            "vnc_isolate.sv",
            "opening    = state_q == Local && writes_q == '0 &&",
            "opening    = state_q == Local &&",
            "a_opens_clean",
        ),
        Bug(
            "vnc_isolate.sv",
            "r_beat_q[r_id] == lengths[{r_id, r_rd_q[r_id][PtrW-1:0]}]",
            "r_beat_q[r_id] == lengths[{r_id, r_wr_q[r_id][PtrW-1:0]}]",
            "a_rlast_on_the_last_beat",
        ),
    ),
)

CDC_FIFO = Proof(
    name="cdc_fifo",
    depth=1,
    reach=24,
    clocks=True,
    bugs=(
        Bug("vnc_cdc_fifo.sv", "binary ^ (binary >> 1)", "binary", "a_gray"),
        Bug("vnc_cdc_fifo.sv", "wr_gray_q != (rd_seen ^", "wr_gray_q != ~(rd_seen ^", "a_used_at_most_depth"),
        Bug("vnc_cdc_fifo.sv", "out_up_i && rd_gray_q != wr_seen", "out_up_i", "a_pointers_in_order"),
        Bug("vnc_cdc_fifo.sv", "mem[wr_q[PtrW-1:0]] <=", "mem[wr_q[PtrW:1]] <=", "a_tracked_word_keeps_its_place"),
        Bug(
            "vnc_cdc_fifo.sv",
            "assign out_data_o  = mem[rd_q",
            "assign out_data_o  = mem[rd_next",
            "a_comes_out_in_order",
        ),
    ),
)

CDC_LINK = Proof(
    name="cdc_link",
    depth=1,
    reach=60,
    clocks=True,
    bugs=(
        Bug(
            "vnc_cdc_link.sv",
            "closed  = !phase_q && !peer_phase;",
            "closed  = !phase_q;",
            "a_leading_side_clears_alone",
        ),
        Bug(
            "vnc_cdc_link.sv",
            "phase_q && peer_phase && !broken_q &&",
            "phase_q && !broken_q &&",
            "a_up_after_both_have_started",
        ),
        Bug(
            "vnc_cdc_link.sv",
            "else if (peer_phase && broken_q) phase_q",
            "else if (broken_q) phase_q",
            "a_one_change_at_a_time",
        ),
    ),
)
