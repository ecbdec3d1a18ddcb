/* SPDX-License-Identifier: MIT */
/** DOC: the simulator's own counters; sim/library.py has the same structure for ctypes. */
#pragma once
#include <cstdint>

namespace vnc {

/** struct SideStats - accesses to the memory and registers of one side; write_bytes excludes index words. */
struct SideStats {
	uint64_t read_bursts, read_bytes;
	uint64_t write_bursts, write_bytes;
	uint64_t index_words;
	uint64_t errors;  /* bursts with an error or without an answer */
	uint64_t outside; /* bursts with an address outside the memory */
	uint64_t doorbells;
	uint64_t mailbox;
	uint64_t interrupts;
};

struct Stats {
	uint64_t cycles;
	uint64_t sleeps, woken; /* woken: sleeps that a doorbell ended before the time-out */
	uint64_t asleep_ns;
	uint64_t removals;
	SideStats side[2];
};

} // namespace vnc
