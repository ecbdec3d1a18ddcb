/* SPDX-License-Identifier: MIT */
/**
 * DOC: the program to which the rx pump of rx.c punts packets, and the filter that picks them.
 */
#ifndef RX_PROGRAM_H
#define RX_PROGRAM_H
#define PROGRAM 7 /* its descriptor */

static struct {
	uint64_t state[VNC_PUNT_WORDS];
	uint64_t records, bytes, sent; /* of the link, and packets that they were cut into */
	uint64_t dropped;              /* when the filter saw the last record, */
	uint32_t len, sends;           /* of which this is the length, and what the program has taken */
} program;

/* The honest producer's oldest record that is delivered, of @len bytes, is dealt with. */
static void pop(uint32_t len)
{
	while (sent.count && !sent.record[sent.first % SENT_MAX].good)
		sent.first++, sent.count--;
	CHECK(sent.count && sent.record[sent.first % SENT_MAX].len == len);
	sent.first++;
	sent.count--;
}

/* The program has the last record that was picked, unless it did not take a part of it. */
static void settle_punt(void)
{
	if (program.sends && program.dropped == program.state[VNC_PUNT_DROPPED]) {
		program.records++;
		program.bytes += program.len;
	}
	program.sends = 0;
}

/* In place of libpcap's bpf_filter(). */
static unsigned int picks(const void *which, const uint8_t *packet, unsigned int len, unsigned int have)
{
	CHECK(which == &program && !fuzz_shared(packet) && have <= len && have == (len < 512 ? len : 512));
	settle_punt();
	program.len = len;
	program.dropped = program.state[VNC_PUNT_DROPPED];
	if (len % 3)
		return 0;
	if (fuzz_clean && (program.state[VNC_PUNT_PROGRAM] || !setup.bypass))
		pop(len);
	return 1;
}

ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes)
{
	CHECK(p->punt.fd == PROGRAM && program.state[VNC_PUNT_PROGRAM] && bytes && bytes <= p->link.packet_max);
	CHECK(!setup.filtered || permitted(packet, (uint32_t)bytes));
	if (port.refusals) {
		port.refusals--;
		errno = port.error;
		return -1;
	}
	program.sends++;
	program.sent++;
	return (ssize_t)bytes;
}

#endif
