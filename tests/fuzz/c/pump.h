/* SPDX-License-Identifier: MIT */
/* What the harnesses of the two pumps share: a pump with the settings that an input chooses, and its taps. */
#ifndef PUMP_H
#define PUMP_H
#include "fuzz.h"
#include "vnc_offload.h"
#include "vnc_pump.h"

/** struct fuzz_counters - of one end, in the window; the statistics follow the ledger. */
struct fuzz_counters {
	uint64_t ledger[2 * VNC_LEDGER_WORDS], stats[VNC_STATS_WORDS], batches[VNC_BATCH_WORDS];
};

/** struct fuzz_setup - the settings of an input. */
struct fuzz_setup {
	enum vnc_domain domain;
	bool vnet_port, ethernet, neighbours, futex, doorbell, tapped, filtered, punts, bypass;
	uint32_t features, packet_max;
};

void fuzz_read_setup(struct fuzz_setup *setup);
struct vnc_pump *fuzz_new_pump(const struct fuzz_setup *setup, const uint32_t *peer_epoch);
struct vnc_vnet_hdr fuzz_vnet(uint8_t kind, uint32_t len);
void fuzz_check_taps(void);

/** fuzz_fill() - byte @at of packet @number. */
static inline uint8_t fuzz_fill(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 37 + at);
}

/** fuzz_l3() - where the IP header of packet @number starts: behind 0, 1 or 2 VLAN tags. */
static inline uint32_t fuzz_l3(const struct fuzz_setup *setup, uint32_t number)
{
	return setup->ethernet ? 14 + 4 * (number % 3) : 0;
}

/** fuzz_ethernet() - byte @at of the Ethernet header before the IP header at @l3, which starts with @first. */
static inline uint8_t fuzz_ethernet(uint32_t number, uint32_t at, uint32_t l3, uint8_t first)
{
	static const uint8_t tag[] = {0x81, 0x00, 0x00, 0x05}, kind[][2] = {{0x08, 0x00}, {0x86, 0xdd}};

	if (at < 12)
		return fuzz_fill(number, at);
	return at < l3 - 2 ? tag[at % 4] : kind[first >> 4 == 6][at - (l3 - 2)];
}

static inline uint64_t fuzz_sum(const uint64_t *words, unsigned int count)
{
	uint64_t sum = 0;

	while (count--)
		sum += *words++;
	return sum;
}

#endif
