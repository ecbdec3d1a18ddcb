/* SPDX-License-Identifier: MIT */
/* The parts of vnc_side.h that read the superblock, and that count link events. */
#include "vnc_side.h"

#define VERSION_WORD 1u  /* of the superblock, in u64: version_min and version_max */
#define CHECKSUM_WORD 4u /* instance and checksum */

/* ---- the superblock ------------------------------------------------------------------------------ */

/* CRC-32 (zlib) of @count words, continued from @crc. */
static uint32_t crc32_words(uint32_t crc, const uint64_t *words, unsigned int count)
{
	unsigned int n, bit;

	for (n = 0; n < 8 * count; n++) {
		crc ^= (uint32_t)(words[n / 8] >> 8 * (n % 8)) & 0xff;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

static void read_line(const struct vnc_side *s, uint32_t offset, uint64_t line[8])
{
	unsigned int n;

	for (n = 0; n < 8; n++)
		line[n] = vnc_get64(s->config.domain, (const uint64_t *)(const void *)(s->config.window + offset) + n);
}

/* The checksum of the superblock @line, magic and checksum as 0, and of the descriptors behind it. */
static uint32_t checksum(const struct vnc_side *s, const uint64_t line[8], uint32_t queues)
{
	uint64_t copy[8], descriptor[8];
	uint32_t crc, n;

	memcpy(copy, line, sizeof(copy));
	copy[0] = 0;
	copy[CHECKSUM_WORD] = (uint32_t)copy[CHECKSUM_WORD];
	crc = crc32_words(0xffffffffu, copy, 8);
	for (n = 1; n <= queues; n++) {
		read_line(s, n * VNC_LINE, descriptor);
		crc = crc32_words(crc, descriptor, 8);
	}
	return ~crc;
}

static bool possible(const struct vnc_side *s, uint64_t window_bytes, uint32_t offset, uint32_t size, uint32_t queues)
{
	uint32_t first = VNC_QUEUE_OFFSET + queues * VNC_QUEUE_BYTES;

	return size >= VNC_RING_MIN && size <= VNC_RING_MAX && !(size & (size - 1)) && offset >= first &&
	       !(offset & (VNC_RING_ALIGN - 1)) && (uint64_t)offset + size <= window_bytes &&
	       window_bytes <= s->config.bytes;
}

static void open_stats(const struct vnc_side *s, struct vnc_side_stats *stats, uint64_t *ledger)
{
	unsigned int n;

	stats->shared = ledger + 2 * VNC_LEDGER_WORDS;
	for (n = 0; n < VNC_STATS_BYTES / 8; n++)
		stats->now[n] = vnc_get64(s->config.domain, &stats->shared[n]);
}

static void attach_end(struct vnc_side *s, bool h2c, uint32_t offset, uint32_t size)
{
	uint8_t *block = s->config.window + VNC_QUEUE_OFFSET;
	void *prod = block + (h2c ? VNC_Q_H2C_PROD : VNC_Q_C2H_PROD);
	void *cons = block + (h2c ? VNC_Q_H2C_CONS : VNC_Q_C2H_CONS);
	uint32_t frame_max = size - VNC_RECORD_HEADER < VNC_FRAME_MAX ? size - VNC_RECORD_HEADER : VNC_FRAME_MAX;
	bool tx = h2c == (s->config.side == VNC_SIDE_HOST);
	void *ledger = block + (h2c ? (tx ? VNC_Q_H2C_TX : VNC_Q_H2C_RX) : (tx ? VNC_Q_C2H_TX : VNC_Q_C2H_RX));

	if (tx) {
		s->tx = (struct vnc_producer){.ring = s->config.window + offset, .size = size, .frame_max = frame_max,
					      .domain = s->config.domain, .own = prod, .peer = cons};
		vnc_ledger_open(&s->tx_ledger, s->config.domain, ledger);
		open_stats(s, &s->tx_stats, ledger);
	} else {
		s->rx = (struct vnc_consumer){.ring = s->config.window + offset, .size = size, .frame_max = frame_max,
					      .domain = s->config.domain, .own = cons, .peer = prod};
		vnc_ledger_open(&s->rx_ledger, s->config.domain, ledger);
		open_stats(s, &s->rx_stats, ledger);
	}
}

static void open_counters(struct vnc_side *s);

/** vnc_side_map() - read the superblock, and find the side blocks and the rings of queue pair 0. */
enum vnc_side_error vnc_side_map(struct vnc_side *s)
{
	uint64_t line[8], d[8];
	uint32_t queues, smallest;

	if (s->config.bytes < VNC_WINDOW_MIN)
		return VNC_SIDE_BAD_GEOMETRY;
	read_line(s, 0, line);
	vnc_rmb(s->config.domain);
	if (line[0] != VNC_MAGIC)
		return VNC_SIDE_NO_WINDOW;
	if ((uint32_t)line[VERSION_WORD] > VNC_VERSION || line[VERSION_WORD] >> 32 < VNC_VERSION)
		return VNC_SIDE_BAD_VERSION;
	queues = (uint32_t)line[3];
	if (queues < 1 || queues > VNC_QUEUES_MAX)
		return VNC_SIDE_BAD_GEOMETRY;
	if (checksum(s, line, queues) != line[CHECKSUM_WORD] >> 32)
		return VNC_SIDE_DAMAGED;
	line[VERSION_WORD] = VNC_VERSION | (uint64_t)VNC_VERSION << 32;
	s->layout = checksum(s, line, queues);
	read_line(s, VNC_LINE, d);
	if (!possible(s, line[2], (uint32_t)d[0], (uint32_t)(d[0] >> 32), queues) ||
	    !possible(s, line[2], (uint32_t)d[1], (uint32_t)(d[1] >> 32), queues))
		return VNC_SIDE_BAD_GEOMETRY;
	smallest = (uint32_t)(d[0] >> 32) < (uint32_t)(d[1] >> 32) ? (uint32_t)(d[0] >> 32) : (uint32_t)(d[1] >> 32);
	if (s->config.mtu > smallest / 2 - VNC_LINE - VNC_VNET_HDR) /* two records must fit at once */
		return VNC_SIDE_BAD_MTU;
	s->own = (void *)(s->config.window + VNC_SIDE_OFFSET + s->config.side * VNC_SIDE_BYTES);
	s->peer = (void *)(s->config.window + VNC_SIDE_OFFSET + (1 - s->config.side) * VNC_SIDE_BYTES);
	attach_end(s, true, (uint32_t)d[0], (uint32_t)(d[0] >> 32));
	attach_end(s, false, (uint32_t)d[1], (uint32_t)(d[1] >> 32));
	open_counters(s);
	return VNC_SIDE_OK;
}

/** vnc_side_write_identity() - who owns this side, for diagnosis. */
void vnc_side_write_identity(const struct vnc_side *s)
{
	struct vnc_side_identity identity = {.software = "vnetcard fw"};
	uint64_t *at = (uint64_t *)(void *)((uint8_t *)s->own + VNC_LINE), word;
	unsigned int n;

	for (n = 0; n < sizeof(identity.machine) && s->config.name && s->config.name[n]; n++)
		identity.machine[n] = (uint8_t)s->config.name[n];
	for (n = 0; n < sizeof(identity) / 8; n++) {
		memcpy(&word, (const uint8_t *)&identity + 8 * n, 8);
		vnc_put64(s->config.domain, &at[n], word);
	}
}

/* ---- link counters: two copies, each with a checksum in its last word ---------------------------- */

static uint64_t *copy_of(const struct vnc_side *s, unsigned int copy)
{
	return (uint64_t *)(void *)((uint8_t *)s->own + VNC_LINK_COUNTERS_OFFSET) + copy * VNC_SIDE_LINK_WORDS;
}

static uint64_t link_sum(const uint64_t *words)
{
	uint64_t plain = VNC_MAGIC, weighted = 0;
	unsigned int n;

	for (n = 0; n < VNC_SIDE_LINK_WORDS - 1; n++) {
		plain += words[n];
		weighted += plain;
	}
	return plain ^ (weighted << 23 | weighted >> 41);
}

static void write_counters(struct vnc_side *s)
{
	unsigned int n, copy;

	s->link[VNC_SIDE_LINK_WORDS - 1] = link_sum(s->link);
	for (copy = 2; copy-- > 0;) { /* the second copy, then the first */
		for (n = 0; n < VNC_SIDE_LINK_WORDS; n++)
			vnc_put64(s->config.domain, &copy_of(s, copy)[n], s->link[n]);
		vnc_wmb(s->config.domain);
		__atomic_thread_fence(__ATOMIC_RELEASE);
	}
}

/* Continue with a whole copy of an earlier owner's, from 0 without one. */
static void open_counters(struct vnc_side *s)
{
	unsigned int n, copy;

	for (copy = 0; copy < 2; copy++) {
		for (n = 0; n < VNC_SIDE_LINK_WORDS; n++)
			s->link[n] = vnc_get64(s->config.domain, &copy_of(s, copy)[n]);
		if (s->link[VNC_SIDE_LINK_WORDS - 1] == link_sum(s->link))
			break;
	}
	if (copy == 2)
		memset(s->link, 0, sizeof(s->link));
	write_counters(s);
}

/** vnc_side_count() - add one to link counter @counter, VNC_LINK_.... */
void vnc_side_count(struct vnc_side *s, unsigned int counter)
{
	s->link[counter]++;
	write_counters(s);
}
