"""The bugs that ``test_litepcie.py`` seeds into ``hdl/litex``, one at a time; as in ``mutations.py``."""

from __future__ import annotations

from tests.hdl.mutants import Mutation

STROBES, EIGHT = "strobes_become_byte_enables", "eight_aligned_bytes_are_one_tlp"
PAYLOAD, TAGS, FAILED = "whole_bursts_are_cut_at_the_payload_size", "reads_use_all_tags", "failed_reads_give_slverr"
POISONED, AFTER_B = "poisoned_and_short_completions_give_slverr", "read_after_b_sees_the_write"
REFUSED, HEADERS = "unsupported_bursts_are_refused", "headers_of_both_lengths_follow_each_other"


ENDPOINT = (
    Mutation("no_first_enables", "        tlp.first_be.eq(request.tag[:4]),\n", "",
        "strobes within a DWORD are ignored", (STROBES,), "endpoint.py"),
    Mutation("two_dwords_fill_the_beat", "        If(request.len == 2, tlp.be.eq(0xFF)),\n", "",
        "a TLP of two DWORDs has as many as the beat", (EIGHT,), "endpoint.py", width=256),
    Mutation("second_beat_too_long", "If(short, beat.be[4:].eq(0))", "If(short, beat.be[8:].eq(0))",
        "a TLP of two DWORDs at 128 bit has three", (EIGHT,), "endpoint.py", width=128),
    Mutation("inserter_changes", "for active, other in ((three, four), (four, three)):",
        "for active, other in ((four, three),):", "a TLP with a short header loses its end", (HEADERS,), "endpoint.py"),
    Mutation("failed_read_keeps_its_tag", "        If(tlp.status != 0, completion.end.eq(1)),\n", "",
        "a failed read never ends", (FAILED,), "endpoint.py"),
    Mutation("poison_is_good", "        If(tlp.ep, completion.err.eq(1)),\n", "",
        "poisoned data is delivered as good", (POISONED,), "endpoint.py"),
)  # fmt: skip

WRITE = (
    Mutation("payload_ignored", "(following[shift:9] & boundary[shift:]) == 0", "following[shift:9] == 0",
        "a TLP exceeds the maximum payload", (PAYLOAD,), "axi_write.py"),
    Mutation("b_before_the_last_beat", "response.valid.eq(tlp.valid & tlp.ready & tlp.end)",
        "response.valid.eq(tlp.valid & tlp.end & (sent == 0) & (beat.ready | ~tlp.send))",
        "B comes before the write was sent", (AFTER_B,), "axi_write.py"),
    Mutation("full_beats_forgotten", ".Elif(count != 0, *close)", ".Elif(0, *close)",
        "full beats before one in pieces are sent late, at another place", (STROBES,), "axi_write.py"),
    Mutation("upper_dword_at_the_lower_address", "tlps.adr.eq(start + 4)", "tlps.adr.eq(start)",
        "an upper DWORD is written to the lower address", (STROBES,), "axi_write.py"),
    Mutation("upper_dword_lost", "done.eq(whole | ~at_low | (high == 0))", "done.eq(1)",
        "the upper of two partial DWORDs is lost", (STROBES,), "axi_write.py"),
    Mutation("eight_bytes_in_halves", "whole.eq(strobes[:8] == 0xFF)", "whole.eq(0)",
        "8 aligned bytes are seen in halves", (EIGHT,), "axi_write.py", width=128),
    Mutation("end_of_a_partial_burst_lost", "If(last, NextState(\"END\"))", "If(last, NextState(\"IDLE\"))",
        "a burst that ends with a partial beat has no B", (STROBES,), "axi_write.py"),
    Mutation("wrap_accepted", "If(enable & (aw.burst == BURST_INCR) & (aw.size == shift)",
        "If(enable & (aw.size == shift)", "WRAP is written as INCR", (REFUSED,), "axi_write.py"),
    Mutation("disabled_writes", "If(enable & (aw.burst == BURST_INCR)", "If((aw.burst == BURST_INCR)",
        "writes are sent while bus mastering is off", (REFUSED,), "axi_write.py"),
)  # fmt: skip

READ = (
    Mutation("request_size_ignored", "room.eq((boundary[shift:] & ~address[shift:9]) + 1)",
        "room.eq(~address[shift:9] + 1)", "a request exceeds the maximum read request size", (TAGS,), "axi_read.py"),
    Mutation("one_request_at_a_time", "request.valid.eq(queue.ready)",
        "request.valid.eq(queue.ready & ~self.requests.source.valid)", "one tag is in use", (TAGS,), "axi_read.py"),
    Mutation("errors_hidden", "out.resp.eq(Mux(failed | completion.err, RESP_SLVERR, RESP_OKAY))",
        "out.resp.eq(RESP_OKAY)", "the beat of a failed completion is OKAY", (FAILED,), "axi_read.py"),
    Mutation("failure_forgotten", "NextValue(failed, failed | completion.err)", "NextValue(failed, 0)",
        "what follows a poisoned completion is OKAY", (POISONED,), "axi_read.py"),
    Mutation("failure_stays", "NextValue(failed, 0), NextState", "NextState",
        "every read after a failed one is SLVERR", (FAILED,), "axi_read.py"),
    Mutation("missing_beats", ".Elif(complete, NextState(\"FILL\"))", "",
        "the beats after a failed completion are those of the next request", (FAILED,), "axi_read.py"),
    Mutation("narrow_accepted", "If(enable & (ar.burst == BURST_INCR) & (ar.size == shift)",
        "If(enable & (ar.burst == BURST_INCR)", "a narrow burst returns too many bytes", (REFUSED,), "axi_read.py"),
)  # fmt: skip

MUTATIONS = (*ENDPOINT, *WRITE, *READ)
