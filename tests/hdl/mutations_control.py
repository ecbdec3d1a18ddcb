"""Bugs in what surrounds the bytes: resets, registers, interrupts, side blocks, time-outs."""

from __future__ import annotations

from tests.hdl.hdl_mutants import Mutation

ANY = "random_doorbells_match_the_model"
RESET = "reset_in_mid_burst_drains_and_starts_anew"
READ = "read_error_halts_one_direction"
WRITE = "write_error_halts_one_direction"
HOSTILE = "hostile_registers_stay_inside_the_window"
LOCK = "configuration_is_checked_and_locked"
BITS = "registers_keep_the_bits_that_exist"
IRQ = "interrupts_follow_mask_and_clearing"
CARRY = "counters_carry_into_their_upper_halves"
SILENT = "silent_memory_halts_and_a_late_answer_heals"

CONTROL = (
    Mutation(
        "drain ignores writes", "!reading && !writing && prod_idle", "!reading && prod_idle",
        "a reset ends while bursts are under way", (RESET,),
    ),
    Mutation(
        "drain ignores reads", "!reading && !writing && prod_idle", "!writing && prod_idle",
        "beats of before the reset arrive after it", (RESET,),
    ),
    Mutation(
        "reset of tx resets rx", "reset[n][0] || reset[Peer][1]", "reset[n][1] || reset[Peer][0]",
        "the wrong direction is reset", (RESET, READ),
    ),
    Mutation(
        "runs without the start words",
        "else if (started) state_d = Run;", "else state_d = Run;",
        "RUN shows before both sides have the start", (ANY, RESET),
    ),
    Mutation(
        "start word is a publication", "= good && !first_q;", "= good;",
        "an interrupt and a count for nothing", (ANY, IRQ),
    ),
    Mutation(
        "a direction does not wait for the side blocks", "config_ok_i && side_up_i;", "config_ok_i;",
        "an index reaches a peer that has not seen the epoch", ("coming_up_copies_both_blocks_first",),
    ),
    Mutation(
        "configuration not locked", "if (write_q && !locked)", "if (write_q)",
        "a base moves under a running direction", (LOCK,),
    ),
    Mutation(
        "configuration not locked while coming up", "side[1].off && !both_q;", "side[1].off;",
        "a copy begins with one configuration and goes on with another",
        ("configuration_stands_still_while_the_engine_comes_up",),
    ),
    Mutation(
        "half a register counts", "w_strb_i == 4'hf", "w_strb_i != 4'h0",
        "a stray byte write changes a register", ("only_whole_writes_to_real_registers_count", LOCK),
    ),
    Mutation(
        "ring sizes need not agree", "return log2[0] == log2[1] && ", "return ", "two sizes of one ring run", (LOCK,),
    ),
    Mutation(
        "window mask missing", " & window_mask_i", "", "a hostile ring offset leaves the window", (HOSTILE,),
        file="vnc_address.sv",
    ),
    Mutation(
        "size beyond its bits kept", "assign size       = large_q ? '0 : data_q[4:0];",
        "assign size       = data_q[4:0];", "a size of 2 ** 44 is taken for 2 ** 12", (BITS,),
    ),
    Mutation(
        "tx_start keeps low bits", "tx_start_o <= {data_q[31:6], 6'b0};", "tx_start_o <= data_q;",
        "a direction starts inside a line", (BITS,),
    ),
    Mutation(
        "event lost when cleared", "(status_o & ~clear_i) | {events_q[Bits-1:2], fire ? held_q : 2'b00};",
        "(status_o | {events_q[Bits-1:2], fire ? held_q : 2'b00}) & ~clear_i;", "an interrupt is lost",
        ("event_in_the_cycle_of_its_clearing_stays",),
    ),
    Mutation(
        "mask ignored", "irq_o    <= (status_o & enable_i) != '0;", "irq_o    <= status_o != '0;",
        "an interrupt that was switched off", (IRQ,),
    ),
    Mutation(
        "upper half of bytes not held",
        "read_at_q == 12'(vnc_pkg::RegTxBytesLo) || read_at_q == 12'(vnc_pkg::RegRxBytesLo) ||",
        "read_at_q == 12'(vnc_pkg::RegTxBytesLo) ||", "rx_bytes_hi is that of another counter", (CARRY,),
    ),
    Mutation(
        "upper half of cycles not held", "read_at_q[8] ? cycles_i[63:32] : statistics_i[read_at_q[6]].bytes[63:32];",
        "statistics_i[read_at_q[6]].bytes[63:32];",
        "cycles_hi is that of another counter", (CARRY,),
    ),
    Mutation(
        "refused bursts counted", "run && b_valid_i && !b_error_i && !write_failed;", "run && b_valid_i;",
        "bursts counts what was not acknowledged", ("every_burst_of_a_row_may_be_refused",),
    ),
    Mutation(
        "publications counted as bursts", "plus(count_q.publications, events_q.published);",
        "plus(count_q.publications, events_q.burst);", "statistics differ from the memories'", (ANY,),
    ),
    Mutation(
        "bytes lose their carry", "count_q.bytes + 64'(events_q.published_bytes);",
        "{32'b0, count_q.bytes[31:0] + events_q.published_bytes};", "bytes wraps at 4 GiB", (CARRY,),
    ),
    Mutation(
        "statistics of the wrong direction", ".statistics_i({statistics[Peer], statistics[n]})",
        ".statistics_i({statistics[n], statistics[Peer]})", "tx and rx are swapped", (ANY, CARRY),
    ),
)  # fmt: skip
"""Reset, registers, interrupts and statistics."""

SIDE = (
    Mutation(
        "head before the body is acknowledged", "assign body_done = state_q == Body && !stop && !fault && b_valid_i;",
        "assign body_done = state_q == Body && !stop && !fault && !asked_q;",
        "an epoch is visible before what was stored before it", (ANY,),
    ),
    Mutation(
        "whole line with the head", "head_q ? HeadStrb : ~HeadStrb;", "'1;",
        "the epoch goes with the body", (ANY,), width=128,  # at 64 bit the first 8 bytes are a beat of their own
    ),
    Mutation(
        "bell during a copy lost", "else if (bell_valid_i) pending_q <= 1'b1;",
        "else if (bell_valid_i && state_q == Idle) pending_q <= 1'b1;", "the last block never arrives",
        ("bell_during_a_copy_leads_to_one_more",),
    ),
    Mutation(
        "done shows the newest bell", "if (copied) done_q <= taken_q;", "if (copied) done_q <= bell_i;",
        "side_done promises a copy that was not made", ("bell_during_a_copy_leads_to_one_more",),
    ),
    Mutation(
        "side write error ignored", "((state_q == Body || state_q == Head) && b_valid_i && b_error_i)", "1'b0",
        "side_done for a block that did not arrive", ("side_block_error_halts_its_side_alone",),
    ),
    Mutation(
        "side read error ignored", "(state_q == Read && r_valid_i && r_error_i)", "1'b0",
        "a block that was not read is written", ("side_block_error_halts_its_side_alone",),
    ),
    Mutation(
        "side drain ends early", "Drain:     if (!asked_q && !away_q) state_q <= Off;",
        "Drain:     state_q <= Off;", "a beat of before the reset is taken for the new copy's",
        ("a_copy_after_a_reset_is_of_what_stands_there_then",),
    ),
)  # fmt: skip
"""The side blocks."""

TIMELY = (
    Mutation(
        "time-out never", "stuck_o <= waiting && left_q == '0;", "stuck_o <= 1'b0;",
        "a silent memory is never told", (SILENT,),
    ),
    Mutation(
        "time-out without a limit", "&& limit_q != '0 && limit_q == limit_i;", "&& limit_q == limit_i;",
        "a limit of 0 is one", ("without_a_limit_it_waits_for_ever", SILENT),
    ),
    Mutation(
        "time-out sees no progress", ".progress_i((m_ar_valid_o && m_ar_ready_i) || m_r_valid_i)", ".progress_i(1'b0)",
        "a slow memory is taken for a silent one", (SILENT, "without_a_limit_it_waits_for_ever"),
    ),
    Mutation(
        "time-out of a word is a bus error", "bus_cause : 4'(vnc_pkg::CauseTimeout)",
        "bus_cause : bus_cause", "the cause is another", (SILENT,),
    ),
    Mutation(
        "side block waits for ever", "assign fault    = failed || stuck;", "assign fault    = failed;",
        "a side that waits for its block is never told", ("silence_at_an_index_word_or_a_side_block_is_told_too",),
    ),
    Mutation(
        "never looks at need_wakeup", "good && look_i && run_i && !first_q ? LookAsk : Idle;", "Idle;",
        "a sleeping receiver is never woken", ("a_receiver_that_goes_to_sleep_is_woken",),
    ),
    Mutation(
        "wakes who is awake", "(looked && (sleeps || look_error_i))", "looked",
        "need_wakeup suppresses nothing", ("nobody_who_is_awake_is_interrupted",),
    ),
    Mutation(
        "need_wakeup looked at the wrong way",
        "assign sleeps = look_word_i != '0;", "assign sleeps = look_word_i == '0;",
        "sleepers sleep on, the awake are woken", ("nobody_who_is_awake_is_interrupted",),
    ),
    Mutation(
        "looks at the other one's need_wakeup", "assign prod_look_offset_o = 30'(ConsLine);",
        "assign prod_look_offset_o = 30'(ProdLine);", "the producer's sleep wakes the consumer",
        ("a_receiver_that_goes_to_sleep_is_woken", "nobody_who_is_awake_is_interrupted"),
    ),
    Mutation(
        "failed look ignored", "if (looked && look_error_i) look_failed_q <= 1'b1;", "",
        "a need_wakeup that was not read counts", ("failed_look_halts_the_direction",),
    ),
    Mutation(
        "suppressions not counted", "suppressed_event_o = looked && !look_error_i && !sleeps;",
        "suppressed_event_o = 1'b0;", "suppressed says 0", ("nobody_who_is_awake_is_interrupted",),
    ),
    Mutation(
        "moderation by count missing", "(at_once_q || more_q == '0 ||", "(1'b1 ||",
        "an interrupt for each event", ("interrupts_come_after_so_many_events",),
    ),
    Mutation(
        "moderation by count one late", "count_i > 32'(now) ? count_i - 32'(now) : '0;", "count_i;",
        "an event too many is waited for", ("interrupts_come_after_so_many_events",),
    ),
    Mutation(
        "moderation by time missing", "|| (limited_q && left_q == '0));", ");",
        "the last event of a row is never told", ("interrupts_come_after_so_long",),
    ),
    Mutation(
        "event of the firing cycle lost", "(fire ? 2'b00 : held_q) | events_q[1:0];",
        "fire ? 2'b00 : held_q | events_q[1:0];",
        "an interrupt is lost", ("no_event_is_lost_while_others_fire", "packets_of_the_project_fifo_arrive"),
    ),
    Mutation(
        "longest latency is the last", "show_q && taken_q > count_q.latency_max", "show_q",
        "latency_max forgets", ("latency_is_counted_from_doorbell_to_acknowledgement",),
    ),
    Mutation(
        "latency of the start word", "if (!timing_q) timing_q <= events_q.doorbell;",
        "if (!timing_q) timing_q <= events_q.published;", "latency counts from the wrong moment",
        ("latency_is_counted_from_doorbell_to_acknowledgement",),
    ),
)  # fmt: skip
"""Time-outs, need_wakeup, moderation and latency."""
