/* SPDX-License-Identifier: MIT */
/** DOC: the simulator's own counters; sim/library.py has the same structure for ctypes. */
#pragma once
#include <cstdint>

namespace vnc {

/** struct SideStats - what one side's memory and registers saw; index words are not in the bytes written. */
struct SideStats {
	uint64_t read_bursts, read_bytes;
	uint64_t write_bursts, write_bytes;
	uint64_t index_words;
	uint64_t errors;  /* bursts that ended with an error or not at all */
	uint64_t outside; /* ... because their address is not in the memory */
	uint64_t doorbells;
	uint64_t mailbox;
	uint64_t interrupts;
};

struct Stats {
	uint64_t cycles;
	uint64_t sleeps, woken; /* woken: sleeps that a bell ended before their time */
	uint64_t asleep_ns;
	uint64_t removals;
	SideStats side[2];
};

} // namespace vnc
