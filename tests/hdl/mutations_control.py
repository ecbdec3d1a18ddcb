"""Bugs in what surrounds the bytes: resets, registers, interrupts, side blocks, time-outs."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

ANY = "random_doorbells_match_the_model"
RESET = "reset_in_mid_burst_drains_and_restarts"
READ = "read_error_halts_one_direction"
WRITE = "write_error_halts_one_direction"
HOSTILE = "hostile_register_writes_stay_inside_the_window"
LOCK = "configuration_is_checked_and_locked"
BITS = "registers_keep_only_implemented_bits"
IRQ = "interrupts_follow_mask_and_clearing"
CARRY = "counters_carry_into_their_upper_halves"
LATE = "late_answer_leaves_the_latched_address"
UNRESPONSIVE = "unresponsive_memory_halts_and_a_late_answer_recovers"

CONTROL = (
    Mutation(
        "drain ignores writes", "!reading && !writing && prod_idle", "!reading && prod_idle",
        "a reset ends while bursts are outstanding", (RESET,),
    ),
    Mutation(
        "drain ignores reads", "!reading && !writing && prod_idle", "!writing && prod_idle",
        "beats from before the reset arrive after it", (RESET,),
    ),
    Mutation(
        "reset of tx resets rx", "reset[n][0] || reset[Peer][1]", "reset[n][1] || reset[Peer][0]",
        "the wrong direction is reset", (RESET, READ),
    ),
    Mutation(
        "runs without the start words",
        "else if (started) state_d = Run;", "else state_d = Run;",
        "RUN is set before both sides have the start index", (ANY, RESET),
    ),
    Mutation(
        "start word is a publication", "= good && !first_q;", "= good;",
        "a start raises an interrupt and counts as a publication", (ANY, IRQ),
    ),
    Mutation(
        "a direction does not wait for the side blocks", "config_ok_i && side_up_i;", "config_ok_i;",
        "an index reaches a peer before the epoch", ("start_copies_both_side_blocks_first",),
    ),
    Mutation(
        "configuration not locked", "if (write_q && !locked)", "if (write_q)",
        "a base moves under a running direction", (LOCK,),
    ),
    Mutation(
        "configuration not locked while starting", "side[1].off && !both_enabled_q;", "side[1].off;",
        "a copy starts with one configuration and continues with another",
        ("configuration_is_stable_while_the_engine_starts",),
    ),
    Mutation(
        "partial write takes effect", "w_strb_i == 4'hf", "w_strb_i != 4'h0",
        "a stray byte write changes a register", ("only_full_writes_to_existing_registers_take_effect", LOCK),
    ),
    Mutation(
        "ring sizes need not agree", "return log2[0] == log2[1] && ", "return ",
        "a direction runs with two ring sizes", (LOCK,),
    ),
    Mutation(
        "ring outside its window", "h2c_end_q[n] <= window_end_q[n] &&", "",
        "data wraps onto the superblock", (LOCK,),
    ),
    Mutation(
        "ring on the superblock", "c2h_first_q[n] != '0 &&", "", "data lands on the superblock", (LOCK,),
    ),
    Mutation(
        "rings may overlap", " && apart == 2'b11", "", "one ring's data lands in the other", (LOCK,),
    ),
    Mutation(
        "window mask missing", " & window_mask_i", "", "an offset leaves the window", (HOSTILE,),
        file="vnc_address.sv",
        survives="no offset of an accepted configuration is outside its window (proof config, "
        "a_rings_end_in_the_window); the mask is a second lock (proof address)",
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
        ("event_in_the_cycle_of_its_clearing_is_kept",),
    ),
    Mutation(
        "mask ignored", "irq_o    <= (status_o & enable_i) != '0;", "irq_o    <= status_o != '0;",
        "a disabled interrupt is raised", (IRQ,),
    ),
    Mutation(
        "upper half of bytes not held",
        "read_at_q == 12'(vnc_pkg::RegTxBytesLo) || read_at_q == 12'(vnc_pkg::RegRxBytesLo) ||",
        "read_at_q == 12'(vnc_pkg::RegTxBytesLo) ||", "rx_bytes_hi belongs to another counter", (CARRY,),
    ),
    Mutation(
        "upper half of cycles not held", "read_at_q[8] ? cycles_i[63:32] : statistics_i[read_at_q[6]].bytes[63:32];",
        "statistics_i[read_at_q[6]].bytes[63:32];",
        "cycles_hi belongs to another counter", (CARRY,),
    ),
    Mutation(
        "refused bursts counted", "run && b_valid_i && !b_error_i && !write_failed;", "run && b_valid_i;",
        "bursts counts writes that were not acknowledged", ("error_on_any_outstanding_write_is_latched",),
    ),
    Mutation(
        "publications counted as bursts", "plus(count_q.publications, events_q.published);",
        "plus(count_q.publications, events_q.burst);", "statistics differ from what the memories saw", (ANY,),
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
        "assign body_done = state_q == Body && !stop && !fault && !request_q;",
        "an epoch is visible before the rest of the line", (ANY,),
    ),
    Mutation(
        "whole line with the head", "head_q ? HeadStrb : ~HeadStrb;", "'1;",
        "the epoch is written with the body", (ANY,), width=128,  # at 64 bit the first 8 bytes are a separate beat
    ),
    Mutation(
        "side doorbell during a copy lost", "else if (doorbell_valid_i) pending_q <= 1'b1;",
        "else if (doorbell_valid_i && state_q == Idle) pending_q <= 1'b1;", "the last block never arrives",
        ("doorbell_during_a_copy_causes_another_copy",),
    ),
    Mutation(
        "done shows the newest doorbell", "if (copied) done_q <= taken_q;", "if (copied) done_q <= doorbell_i;",
        "side_done confirms a copy that was not made", ("doorbell_during_a_copy_causes_another_copy",),
    ),
    Mutation(
        "side write error ignored", "(writing && b_valid_i && b_error_i)", "1'b0",
        "side_done for a block that did not arrive", ("side_block_error_halts_only_that_side_mover",),
    ),
    Mutation(
        "side read error ignored", "(state_q == Read && r_valid_i && r_error_i)", "1'b0",
        "a block that was not read is written", ("side_block_error_halts_only_that_side_mover",),
    ),
    Mutation(
        "side drain ends early", "Drain:     if (!request_q && !outstanding_q) state_q <= Off;",
        "Drain:     state_q <= Off;", "a beat from before the reset is used for the new copy",
        ("copy_after_reset_is_of_the_current_line",),
    ),
)  # fmt: skip
"""The side blocks."""

TIMELY = (
    Mutation(
        "time-out never", "rst_ni && !rest_q[n] && age_q[n] == Old;", "1'b0;",
        "an unresponsive memory is never reported", (UNRESPONSIVE,),
    ),
    Mutation(
        "time-out without a limit", "limit_q == '0 || limit_q != limit_i;", "limit_q != limit_i;",
        "a limit of 0 takes effect", ("zero_timeout_waits_indefinitely", UNRESPONSIVE),
    ),
    Mutation(
        "time-out ignores progress", "rest_q  <= ~busy_i | progress_i;", "rest_q  <= ~busy_i;",
        "a slow memory is reported as unresponsive", (UNRESPONSIVE, "zero_timeout_waits_indefinitely"),
    ),
    Mutation(
        "fault index not latched", "    if (!fault_q) begin\n      read_index_q", "    begin\n      read_index_q",
        "a late answer moves error_addr", (LATE,),
    ),
    Mutation(
        "time-out of a word is a bus error", "bus_cause : 4'(vnc_pkg::CauseTimeout)",
        "bus_cause : bus_cause", "the cause is wrong", (UNRESPONSIVE,),
    ),
    Mutation(
        "progress of one is progress of all", "rest_q  <= ~busy_i | progress_i;",
        "rest_q  <= ~busy_i | {Clients{progress_i != '0}};", "a lost answer hides behind other traffic",
        ("lost_answer_is_reported_while_others_move",),
    ),
    Mutation(
        "time-out after a quarter", "Old = 3'd5;", "Old = 3'd2;", "a slow memory is reported as unresponsive",
        (UNRESPONSIVE,),
    ),
    Mutation(
        "side mover without a time-out", "assign fault    = failed || stuck;", "assign fault    = failed;",
        "a side that waits for its block gets no report", ("timeout_of_index_word_or_side_block_is_reported",),
    ),
    Mutation(
        "need_wakeup never read", "(first_q || need_wakeup_i || interrupts_i);", "(first_q || interrupts_i);",
        "a sleeping receiver is never woken", ("receiver_that_goes_to_sleep_is_woken",),
    ),
    Mutation(
        "awake receiver is interrupted", "(checked && (own_q || sleeps_q || error_q))", "checked",
        "need_wakeup suppresses nothing", ("awake_receiver_is_not_interrupted",),
    ),
    Mutation(
        "need_wakeup inverted",
        "sleeps_q <= check_word_i != '0;", "sleeps_q <= check_word_i == '0;",
        "sleeping receivers are not woken, awake ones are", ("awake_receiver_is_not_interrupted",),
    ),
    Mutation(
        "need_wakeup of the other line read", "prod_check_own ? 30'(ProdLine) : 30'(ConsLine);",
        "30'(ProdLine);", "the producer's sleep wakes the consumer",
        ("receiver_that_goes_to_sleep_is_woken", "awake_receiver_is_not_interrupted"),
    ),
    Mutation(
        "failed need_wakeup read ignored", "if (state_q == Judge && error_q) check_failed_q <= 1'b1;", "",
        "an invalid need_wakeup is used", ("failed_need_wakeup_read_halts_the_direction",),
    ),
    Mutation(
        "suppressions not counted", "suppressed_event_o = checked && !own_q && !error_q && !sleeps_q;",
        "suppressed_event_o = 1'b0;", "suppressed reads 0", ("awake_receiver_is_not_interrupted",),
    ),
    Mutation(
        "moderation by count missing", "(at_once_q || more_q == '0 ||", "(1'b1 ||",
        "every event raises an interrupt", ("interrupt_is_raised_after_irq_count_events",),
    ),
    Mutation(
        "moderation by count one late", "count_i > 32'(now) ? count_i - 32'(now) : '0;", "count_i;",
        "the interrupt needs one event too many", ("interrupt_is_raised_after_irq_count_events",),
    ),
    Mutation(
        "moderation by time missing", "|| (limited_q && left_q == '0));", ");",
        "the last of several events raises no interrupt", ("interrupt_is_raised_after_irq_time_cycles",),
    ),
    Mutation(
        "event of the firing cycle lost", "(fire ? 2'b00 : held_q) | events_q[1:0];",
        "fire ? 2'b00 : held_q | events_q[1:0];",
        "an interrupt is lost", ("no_event_is_lost_while_another_interrupts", "fifo_packets_cross_the_engine"),
    ),
    Mutation(
        "longest latency is the last", "show_q && taken_q > count_q.latency_max", "show_q",
        "latency_max decreases", ("latency_is_counted_from_doorbell_to_acknowledgement",),
    ),
    Mutation(
        "latency of the start word", "if (!timing_q) timing_q <= events_q.doorbell;",
        "if (!timing_q) timing_q <= events_q.published;", "latency counts from the wrong event",
        ("latency_is_counted_from_doorbell_to_acknowledgement",),
    ),
)  # fmt: skip
"""Time-outs, need_wakeup, moderation and latency."""
