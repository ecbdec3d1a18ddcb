/* SPDX-License-Identifier: MIT */
/**
 * DOC: the objects shared with the agents, and the atomics and futexes on them.
 *
 * vnc_simbus.h is generated from vnetcard/window/sim_bus.py, which documents the protocol, when the simulator is built.
 */
#pragma once
#include "vnc_simbus.h"
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vnc {

constexpr uint32_t AllOnes = 0xffffffffu; /* the value of a read that no device answers */

inline uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

inline void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

inline void futex_wake(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, nullptr, nullptr, 0);
}

/** futex_wait() - Return: true when a wake-up ended the wait, or *@word differed from @seen before it. */
inline bool futex_wait(const uint32_t *word, uint32_t seen, long ns)
{
	timespec limit{0, ns};

	return syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, nullptr, 0) == 0 || errno == EAGAIN;
}

/** struct Bus - the object vnetcard-sim-NAME, by fields. */
struct Bus {
	uint8_t *bytes;

	uint32_t *word(unsigned offset) const { return reinterpret_cast<uint32_t *>(bytes + offset); }
	uint32_t *doorbell() const { return word(VNC_SIMBUS_DOORBELL); }
	uint32_t *asleep() const { return word(VNC_SIMBUS_ASLEEP); }
	uint32_t *removed() const { return word(VNC_SIMBUS_REMOVED); }
	uint32_t *instance() const { return word(VNC_SIMBUS_INSTANCE); }
	uint32_t *side(unsigned side, unsigned offset) const
	{
		return word(VNC_SIMBUS_SIDE_OFFSET + side * VNC_SIMBUS_SIDE_BYTES + offset);
	}
};

} // namespace vnc
