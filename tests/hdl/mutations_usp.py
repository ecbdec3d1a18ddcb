"""Bugs in the UltraScale+ bridge, one at a time; ``test_usp_mutations.py`` seeds them."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

BYTES = "writes_of_any_first_and_last_byte_arrive"
SMALL = "bursts_are_split_at_128_bytes"
ORDER = "nothing_passes_a_write_that_was_answered"
NUMBERS = "numbers_of_other_tlps_answer_nothing"
STROBES = "strobes_may_leave_out_beats_but_no_bytes_between"
NO_WRITES = "disabled_bus_mastering_fails_writes"
READS = "bursts_are_requested_by_512_bytes"
FAILED = "failed_completions_fail_their_burst_only"
LOST = "read_without_completion_times_out"
REGISTERS = "registers_are_reached_through_bar0"
REFUSED = "unsupported_accesses_are_refused"
BROKEN = "messages_locked_and_broken_requests_do_no_harm"
MSI = "each_rising_edge_is_one_msi"

MUTATIONS = (
    Mutation(
        "B when RQ has the TLPs", "(!b_valid_o || b_ready_i) && unclaimed_q >= 13'(tlps);", "!b_valid_o || b_ready_i;",
        "a completion or an MSI passes the bytes of an answered burst", (NUMBERS, ORDER),
    ),
    Mutation(
        "number of a read counts", "seq_valid_i[n] && !seq_i[n][5] &&", "seq_valid_i[n] &&",
        "B before its TLPs were sent", (NUMBERS,),
    ),
    Mutation(
        "number that is not outstanding counts", " && 5'(seq_i[n][4:0] - sent) < 5'(next_q - sent)) sent", ") sent",
        "B before its TLPs were sent", (NUMBERS,),
    ),
    Mutation(
        "dropped numbers are awaited", "assign give_up        = 32'(wait_q) == GraceCycles;",
        "assign give_up        = 1'b0;",
        "writes hang when bus mastering ends", (NO_WRITES,),
    ),
    Mutation(
        "maximum payload ignored", "((32'd128 << payload_i) - 32'd1 >> ByteW)", "(32'd1023 >> ByteW)",
        "TLPs are longer than the host accepts", (SMALL,),
    ),
    Mutation(
        "last byte enables of a long TLP", "begun.last_be  = end_be;", "begun.last_be  = 4'hf;",
        "bytes behind the last one are written", (BYTES,),
    ),
    Mutation(
        "first byte enables", "begun.first_be = (4'hf << low_q[1:0]) &", "begun.first_be =",
        "bytes before the first one are written", (BYTES,),
    ),
    Mutation(
        "first dword above lane 3 is fetched ahead", "assign above       = 32'(lane) > 32'd4;",
        "assign above       = 32'(lane) >= 32'd4;", "a beat too many is taken", (BYTES,),
    ),
    Mutation(
        "dropped TLP leaves its beats", "if (start_drop) drop_q <= !write_i.empty;", "if (start_drop) drop_q <= 1'b0;",
        "the next TLP carries bytes of the dropped one", (NO_WRITES,),
    ),
    Mutation(
        "bad strobes answered with OKAY", "assign write_failed_o = write_i.bad || dropped_q",
        "assign write_failed_o = dropped_q", "a loss is not reported", (STROBES,),
    ),
    Mutation(
        "dropped burst answered with OKAY", "dropped_q || (start_drop && !write_i.empty);", "1'b0;",
        "a loss is not reported", (NO_WRITES,),
    ),
    Mutation(
        "TLP joins across a gap", "assign joins      = open_q && !whole_q && any_q && low_q == '0;",
        "assign joins      = open_q && any_q && low_q == '0;", "bytes are written at the wrong place", (STROBES,),
    ),
    Mutation(
        "burst without strobes has no B", "open_q      <= any_q || (last_q && !(open_q && !whole_q));",
        "open_q      <= any_q;", "the master waits for ever", (STROBES,),
    ),
    Mutation(
        "maximum read request ignored", "((32'd128 << request_i) - 32'd1 >> ByteW)", "(32'd4095 >> ByteW)",
        "reads are longer than allowed", (READS,),
    ),
    Mutation(
        "second completion at the place of the first", "start_q[which] + PlaceW'(arrived_q[which]);", "start_q[which];",
        "bytes of a split completion are overwritten", (READS,),
    ),
    Mutation(
        "error code ignored", "code == vnc_usp_pkg::NoError && status == vnc_usp_pkg::Success && fits", "fits",
        "poisoned bytes are returned as good", (FAILED,),
    ),
    Mutation(
        "bytes returned before they arrived", "(done || (returned_q < arrived && !failed));", "1'b1;",
        "old content of the buffer is returned", (READS,),
    ),
    Mutation(
        "no room reserved", "32'(room_q) >= 32'(beats_q) &&", "", "a completion overwrites bytes of another one",
        ("bursts_are_requested_by_4096_bytes", "bursts_are_requested_by_2048_bytes"),
    ),
    Mutation(
        "lost tag is used again", "lost_q[head_i]   <= 1'b1;", "lost_q[head_i]   <= 1'b0;",
        "a late completion is taken for another request", (LOST,),
    ),
    Mutation(
        "lost tag stays lost", "lost_q[end_tag] <= 1'b0;", "lost_q[end_tag] <= lost_q[end_tag];",
        "tags run out", (LOST,),
    ),
    Mutation(
        "no time-out", "assign time_out = wait_q[TimeoutLog2] && !progress;", "assign time_out = 1'b0;",
        "a lost completion stops all reads", (LOST,),
    ),
    Mutation(
        "reads sent without bus mastering", "else if (place) tlp_valid_o <= master_i;",
        "else if (place) tlp_valid_o <= 1'b1;", "the block drops the TLP, and its tag is lost",
        ("disabled_bus_mastering_fails_reads",),
    ),
    Mutation(
        "any BAR is BAR0", "outside = request[3][18:16] != 3'(Bar);", "outside = 1'b0;",
        "an access to another BAR reaches the registers", (REFUSED,),
    ),
    Mutation(
        "addresses beyond 4 KiB wrap", "request[1][n % 32])) outside = 1'b1;", "request[1][n % 32])) outside |= 1'b0;",
        "an access beyond the page reaches the registers", (REFUSED,),
    ),
    Mutation(
        "last byte enables of a register write", "last_dword ? last_be_q : 4'hf", "4'hf",
        "a register is written that was not addressed", (REGISTERS,),
    ),
    Mutation(
        "byte count of a partial read", "{dwords, 2'b00} - 13'(head) - 13'(tail)", "{dwords, 2'b00}",
        "the host rejects the completion", (REGISTERS,),
    ),
    Mutation(
        "read passes a register write", "Answer: if (w_strb_o == '0 || b_valid_i) begin", "Answer: begin",
        "a write is lost, or a read returns the old value", (REGISTERS,),
    ),
    Mutation(
        "register error ignored", "if (r_resp_i[1]) status_q <= vnc_usp_pkg::Abort;", "",
        "an invalid value is returned as good", ("error_of_a_register_read_aborts_it",),
    ),
    Mutation(
        "discontinued TLP is performed", "if (taken) state_q <= cq_discontinue_i ? (cq_last_i ? Idle : Drain) : Judge;",
        "if (taken) state_q <= Judge;", "a corrupt TLP writes a register", (BROKEN,),
    ),
    Mutation(
        "MSI while the line is high", "request_o <= owed_q && level_q && !busy_q;", "request_o <= level_q && !busy_q;",
        "interrupts are repeated", (MSI,),
    ),
    Mutation(
        "line that was high before MSI was enabled", "level_q   <= irq_i && enable_i;", "level_q   <= irq_i;",
        "an interrupt is lost", (MSI,),
    ),
)  # fmt: skip
"""The bridge's cases must detect each."""
