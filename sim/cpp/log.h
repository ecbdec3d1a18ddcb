/* SPDX-License-Identifier: MIT */
/** DOC: the log of the engine's bursts in both memories, for vnetcard trace.  vnetcard/window/sim_bus.py describes
 * its layout. */
#pragma once
#include "bus.h"
#include <ctime>

namespace vnc {

struct LogEntry {
	uint64_t time, cycle, offset;
	uint32_t bytes; /* for an index word: its value */
	uint16_t kind, side;
};
static_assert(sizeof(LogEntry) == 32, "sim_bus.LOG_ENTRY");

class Log {
      public:
	explicit Log(Bus bus) : bus_(bus) {}

	void put(uint64_t cycle, unsigned side, unsigned kind, uint64_t offset, uint32_t bytes)
	{
		uint64_t *count = reinterpret_cast<uint64_t *>(bus_.bytes + VNC_SIMBUS_LOG_COUNT);
		LogEntry *entries = reinterpret_cast<LogEntry *>(bus_.bytes + VNC_SIMBUS_LOG_ENTRIES);
		LogEntry *entry = entries + *count % VNC_SIMBUS_LOG_SIZE;
		timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		*entry = {uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec), cycle, offset, bytes, uint16_t(kind),
			  uint16_t(side)};
		__atomic_store_n(count, *count + 1, __ATOMIC_RELEASE);
	}

      private:
	Bus bus_;
};

} // namespace vnc
