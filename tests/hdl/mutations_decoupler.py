"""Bugs in the decoupler between two clocks, in the isolation of a side that disappears, and in the card's top."""

from __future__ import annotations

from functools import partial

from tests.hdl.mutants import Mutation

LOST = "nothing_is_lost_or_reordered_at_any_clock_ratio"
RESET = "reset_of_either_side_in_any_cycle"
STOPPED = "stopped_clock_of_either_side_in_any_cycle"
BOTH = "both_sides_are_reset_in_any_order"
ISOLATED = "isolation_fails_nothing_that_had_begun"
SURPRISE = "surprise_reset_of_the_host_under_load"

fifo = partial(Mutation, file="vnc_cdc_fifo.sv", bench="decoupler")
link = partial(Mutation, file="vnc_cdc_link.sv", bench="decoupler")
isolate = partial(Mutation, file="vnc_isolate.sv", bench="decoupler")
card = partial(Mutation, file="vnc_card_top.sv", bench="card")

DECOUPLER = (
    fifo(
        "pointers cross in binary", "return binary ^ (binary >> 1);", "return binary;",
        "several bits change at a time: a pointer is read that never was", (LOST,),
    ),
    fifo(
        "full one word late", "in_up_i && wr_gray_q != (rd_seen ^ {2'b11, {(PtrW - 1){1'b0}}});", "in_up_i;",
        "a full FIFO takes a word", (LOST,),
    ),
    fifo(
        "a word is offered while down", "assign out_valid_o = out_up_i && rd_gray_q", "assign out_valid_o = rd_gray_q",
        "a word of before the reset is used", (RESET, BOTH),
    ),
    fifo(
        "write pointer not cleared", "wr_next    = in_clear_i ? '0 :", "wr_next    =",
        "the sides disagree after a reset", (RESET,),
    ),
    link(
        "reset of the other side not sensed", "assign lost    = !rst_ni || !peer_awake || late;",
        "assign lost    = !rst_ni || late;", "a reset with a stopped clock is noticed later", (RESET,),
    ),
    link(
        "own reset ignored", "assign lost    = !rst_ni || !peer_awake || late;",
        "assign lost    = !peer_awake || late;",
        "a short reset leaves the other side with half a transaction", (RESET,),
    ),
    link(
        "stopped clock not noticed", "assign late = wait_q == CountW'(StallCycles);", "assign late = 1'b0;",
        "a transaction waits for a clock that has stopped", (STOPPED,),
    ),
    link(
        "up without the other side", "phase_q && peer_phase && !broken_q && !peer_broken && !lost;",
        "phase_q && !broken_q && !peer_broken && !lost;", "words are pushed before the other side has cleared", (BOTH,),
    ),
    link(
        "cleared while the other side moves", "assign closed  = !phase_q && !peer_phase;",
        "assign closed  = !phase_q;", "a pointer falls to 0 under the other side's eyes", (RESET,),
    ),
)  # fmt: skip

ISOLATION = (
    isolate(
        "missing beats not given", "(state_q == Drain && w_open && w_free)", "1'b0",
        "a burst of a master that has gone never ends", (RESET,),
    ),
    isolate(
        "missing beats with strobes", "m_w_strb_o <= state_q == Drain ? '0 : s_w_strb_i;", "m_w_strb_o <= '1;",
        "bytes that the master never gave are written", (RESET,),
    ),
    isolate(
        "answers of a lost master kept", "assign m_b_ready_o = !m_lost_i && ((passes && b_free) || state_q == Drain);",
        "assign m_b_ready_o = !m_lost_i && passes && b_free;", "the slave waits for ever with its response", (RESET,),
    ),
    isolate(
        "no answer made up for reads", "(state_q == Local && r_make && r_free)", "1'b0",
        "a read of a slave that has gone is never answered", (RESET,),
    ),
    isolate(
        "made-up answer is OKAY", "s_b_resp_o <= state_q == Local ? MadeResp : m_b_resp_i;", "s_b_resp_o <= 2'b00;",
        "a write that never arrived is reported as done", (RESET,),
    ),
    isolate(
        "made-up burst starts again", "r_beat_q[n] <= r_last ? '0 : r_beat_q[n] + 8'd1;",
        "r_beat_q[n] <= r_last || state_q == Local ? '0 : r_beat_q[n] + 8'd1;", "RLAST comes too late", (RESET,),
    ),
    isolate(
        "opens with answers outstanding", "state_q == Local && writes_q == '0 && reads_q == '0 && !away;",
        "state_q == Local && !away;", "a transaction is owed by neither side", (RESET,),
    ),
    isolate(
        "isolates at once", "else if (state_q == Open) state_q <= isolate_i ? Closing : Open;",
        "else if (state_q == Open) state_q <= isolate_i ? Local : Open;", "a begun burst fails", (ISOLATED,),
    ),
    isolate(
        "takes transactions until it opens", "(state_q == Open && aw_free) || (state_q == Local && away)",
        "(state_q == Open && aw_free) || (state_q == Local && !opening)",
        "a busy master keeps itself isolated", (LOST,),
    ),
)  # fmt: skip

CARD = (
    card(
        "host's reset not connected", ".m_clk_i(m_axi_host_aclk), .m_rst_ni(m_axi_host_aresetn),",
        ".m_clk_i(m_axi_host_aclk), .m_rst_ni(1'b1),", "the engine waits for a host that was reset", (SURPRISE,),
    ),
    card(
        "isolate not connected", ".s_isolate_i(isolate_host_i)", ".s_isolate_i(1'b0)",
        "isolate_host_i does nothing", ("isolation_of_the_host_under_load",),
    ),
    card(
        "interrupts swapped", ".async_i(irq[0])", ".async_i(irq[1])", "the host gets the card's interrupt",
        ("interrupts_cross_to_the_clock_of_their_page",),
    ),
)  # fmt: skip
