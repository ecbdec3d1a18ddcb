"""Bugs in what the engine reads back before it announces an index or a side block."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

ANY = "random_doorbells_match_the_model"
IRQ = "interrupts_follow_mask_and_clearing"
RULE = "one_rule_is_enough"
NO_RULE = "without_need_wakeup_no_rule_is_needed"
BRIDGE = "overtaking_read_is_shown_to_the_side_of_its_memory"

ORDER = (
    Mutation(
        "start word not read back", "(first_q || need_wakeup_i || interrupts_i);",
        "!first_q && (need_wakeup_i || interrupts_i);", "RUN is shown before the start index is visible", (RULE,),
    ),
    Mutation(
        "interrupt without a read", "(first_q || need_wakeup_i || interrupts_i);", "(first_q || need_wakeup_i);",
        "the interrupt comes before its index", (RULE,),
    ),
    Mutation(
        "any value read back will do", "own_q && older_q && !error_q;", "1'b0;",
        "behind an overtaking bridge the interrupt comes before its index", (NO_RULE,),
    ),
    Mutation(
        "cons read back from the other line", "cons_check_own ? 30'(ConsLine) : 30'(ProdLine);", "30'(ProdLine);",
        "a returned cons waits for what never comes", (NO_RULE, RULE, ANY),
    ),
    Mutation(
        "start word interrupts", "(!first_q && ((checked", "(((checked", "a start raises an interrupt", (IRQ, ANY),
    ),
    Mutation(
        "head of a side block not compared",
        "same_q        <= check_head_i == line_q[0][63:0];", "same_q        <= 1'b1;",
        "side_done is shown before the block is visible", (NO_RULE, BRIDGE),
    ),
    Mutation(
        "failed read of a head ignored", "(state_q == Check && judge_q && check_error_q);", "1'b0;",
        "a memory that fails is not reported", ("side_block_error_halts_only_that_side_mover",),
    ),
    Mutation(
        "bridge of the other side accused", ".dst_overtaken_o(prod_overtaken[Peer])",
        ".dst_overtaken_o(prod_overtaken[n])", "OVERTAKEN names the wrong bridge", (BRIDGE,),
    ),
    Mutation(
        "OVERTAKEN for ever", "if (!rst_ni || sides_off) overtaken_q", "if (!rst_ni) overtaken_q",
        "a bridge is accused of an earlier generation's order", (BRIDGE,),
    ),
    Mutation(
        "two reads of side blocks at once", "req_valid_i != '0 && !busy_q;", "req_valid_i != '0;",
        "a beat goes to the wrong side mover", (ANY, "doorbell_during_a_copy_causes_another_copy", RULE),
    ),
    Mutation(
        "address of a failed read back", "ProdCheck:           offset_q <= prod_check_offset_i;",
        "ProdCheck:           offset_q <= 30'(ConsLine);", "the latched address is that of need_wakeup",
        ("failed_read_of_an_index_halts_the_direction",),
    ),
)  # fmt: skip
"""What must be visible before it is announced."""
