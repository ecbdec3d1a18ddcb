/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the queues of vnc_vhost.h against a driver that writes anything into the region.  A frame is never
 * longer than its buffer, nothing outside the region is touched, and after a fault a queue is not used any more.  Until
 * the first poke each frame arrives once, in order, unchanged.
 */
#include "fuzz.h"
#include "vnc_vhost_attach.h"
#include "vnc_vhost_io.h"

#define SIZE 4u
#define BUFFER 64u
#define AVAIL 64u
#define USED 80u
#define TX 0u
#define RX 128u
#define TABLE 256u /* of each slot, for a chain of SIZE */
#define BUFFERS (TABLE + SIZE * SIZE * 16u)
#define REGION (BUFFERS + 2 * SIZE * BUFFER)
#define LEAD 12u
#define LONGEST (SIZE * BUFFER - LEAD)
#define GUEST 0x100000000ull
#define USER 0x7f0000000000ull

static struct vnc_vhost v;
static bool legacy;    /* a header of 10 bytes, and one chain a frame */
static bool event_idx; /* notifications after a chain that is named */

/* The honest driver, and the numbers of the next frames in both directions. */
static struct {
	uint16_t offered[2], used[2]; /* of TX and RX */
	uint32_t slot, slots[SIZE];   /* of TX: the next free descriptor; how many each chain in flight has */
	uint32_t chains;              /* in flight */
	uint32_t sent, received, taken, written;
	uint32_t in_len[SIZE], out_len[SIZE];
} driver;

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 37 + at * 5 + 1);
}

static struct vnc_vhost_desc *desc_at(uint32_t offset)
{
	return (struct vnc_vhost_desc *)(void *)(fuzz_ring() + offset);
}

static struct vnc_vhost_avail *avail_of(uint32_t queue)
{
	return (struct vnc_vhost_avail *)(void *)(fuzz_ring() + queue + AVAIL);
}

static struct vnc_vhost_used *used_of(uint32_t queue)
{
	return (struct vnc_vhost_used *)(void *)(fuzz_ring() + queue + USED);
}

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	uint8_t *queue = fuzz_ring() + (where & 1 ? RX : TX), *at;

	switch (where / 2 % 4) {
	case 0: /* flags and index */
		at = queue + AVAIL;
		break;
	case 1: /* two heads */
		at = queue + AVAIL + 4 + where / 8 % 2 * 4;
		break;
	case 2: /* address; length, flags and next */
		at = queue + 16 * (where / 8 % SIZE) + where / 32 % 2 * 8;
		*bits = 64;
		*good = *fuzz_raw64(at);
		return at;
	default: /* the tables, and anything */
		at = fuzz_ring() + (where & 1 ? where / 8 * 8 : TABLE + where / 8 * 8 % (SIZE * SIZE * 16));
		*bits = 64;
		*good = *fuzz_raw64(at);
		return at;
	}
	*good = *fuzz_raw32(at);
	return at;
}

/* ---- the honest driver --------------------------------------------------------------------------- */

static void offer(uint32_t queue, uint16_t head)
{
	uint16_t *offered = &driver.offered[queue == RX];

	avail_of(queue)->ring[*offered % SIZE] = head;
	avail_of(queue)->idx = ++*offered;
}

static uint8_t *buffer_of(uint32_t queue, uint32_t slot)
{
	return fuzz_ring() + BUFFERS + ((queue == RX ? SIZE : 0) + slot % SIZE) * BUFFER;
}

static void describe(uint32_t offset, const uint8_t *buffer, uint32_t len, uint32_t flags, uint32_t next)
{
	*desc_at(offset) = (struct vnc_vhost_desc){.addr = GUEST + (uint64_t)(buffer - fuzz_ring()), .len = len,
						   .flags = (uint16_t)flags, .next = (uint16_t)next};
}

/* What the device has used may be used again. */
static void reap(void)
{
	uint32_t n;

	for (; driver.used[0] != used_of(TX)->idx; driver.used[0]++, driver.chains--) {
		CHECK(driver.chains && used_of(TX)->ring[driver.used[0] % SIZE].len == 0);
		for (n = 1; n < SIZE; n++)
			driver.slots[n - 1] = driver.slots[n];
	}
}

static void driver_sends(void)
{
	uint32_t len = 1 + fuzz_byte() % LONGEST, whole = len + v.header, left = whole, slots, free = SIZE, n, at, part;
	bool indirect = fuzz_byte() & 1;
	uint32_t first = driver.slot, table, own;

	if (!fuzz_clean)
		return;
	reap();
	for (n = 0; n < driver.chains; n++)
		free -= driver.slots[n];
	slots = (whole + BUFFER - 1) / BUFFER;
	if (slots > free)
		return;
	indirect = indirect && v.indirect;
	table = indirect ? TABLE + first * SIZE * 16 : TX;
	for (n = 0; n < slots; n++, left -= part) {
		part = left < BUFFER ? left : BUFFER;
		own = indirect ? n : (first + n) % SIZE;
		describe(table + own * 16, buffer_of(TX, first + n), part, n + 1 < slots ? VNC_VHOST_NEXT : 0,
			 indirect ? n + 1 : (first + n + 1) % SIZE);
		for (at = 0; at < part; at++)
			buffer_of(TX, first + n)[at] = n * BUFFER + at < v.header ? 0 :
						       byte_of(driver.sent, n * BUFFER + at - v.header);
	}
	if (indirect)
		describe(TX + first * 16, fuzz_ring() + table, slots * 16, VNC_VHOST_INDIRECT, 0);
	offer(TX, (uint16_t)first);
	driver.slot = (first + slots) % SIZE;
	driver.slots[driver.chains++] = slots;
	driver.in_len[driver.sent++ % SIZE] = len;
}

static void driver_receives(void)
{
	uint32_t at = 0, n, chains = 1, chain, skip, head, len;

	if (!fuzz_clean || driver.used[1] == used_of(RX)->idx)
		return;
	for (chain = 0; chain < chains; chain++) {
		CHECK(driver.used[1] != used_of(RX)->idx);
		head = used_of(RX)->ring[driver.used[1] % SIZE].id;
		len = used_of(RX)->ring[driver.used[1]++ % SIZE].len;
		CHECK(head < SIZE && len <= BUFFER);
		skip = chain ? 0 : v.header;
		if (!chain && v.header == LEAD)
			chains = buffer_of(RX, head)[10] | (uint32_t)buffer_of(RX, head)[11] << 8;
		for (n = skip; n < len; n++, at++)
			CHECK(buffer_of(RX, head)[n] == byte_of(driver.received, at));
		offer(RX, (uint16_t)head);
	}
	CHECK(at == driver.out_len[driver.received % SIZE]);
	driver.received++;
}

/* ---- operations ---------------------------------------------------------------------------------- */

static void attach(void)
{
	static const uint64_t user[1] = {USER};
	const struct vnc_vhost_queue tx = {SIZE, USER + TX, USER + TX + AVAIL, USER + TX + USED, -1};
	const struct vnc_vhost_queue rx = {SIZE, USER + RX, USER + RX + AVAIL, USER + RX + USED, -1};
	uint32_t n;

	vnc_vhost_detach(&v);
	memset(fuzz_ring(), 0, REGION);
	memset(&driver, 0, sizeof(driver));
	for (n = 0; n < SIZE; n++) {
		describe(RX + n * 16, buffer_of(RX, n), BUFFER, VNC_VHOST_WRITE, 0);
		offer(RX, (uint16_t)n);
	}
	fuzz_forget_pokes();
	v.rings.region[0] = (struct vnc_rings_region){fuzz_ring(), REGION, NULL};
	v.rings.regions = 1;
	v.guest[0] = GUEST;
	v.header = legacy ? VNC_VHOST_HEADER : LEAD;
	v.mergeable = v.indirect = !legacy;
	v.event_idx = event_idx;
	CHECK(vnc_vhost_attach(&v, user, &tx, &rx));
}

/* After each call: its index was read once, and only an attached end has moved. */
static void check_end(const struct vnc_vhost_end *e, const struct vnc_vhost_end *before)
{
	CHECK(!e->gate.locked && fuzz_watched <= 1);
	CHECK(before->gate.attached || e->at == before->at);
	CHECK(e->gate.attached || !before->gate.attached || v.rings.fault);
	CHECK((uint16_t)(e->at - before->at) <= SIZE);
	CHECK(!fuzz_clean || e->gate.attached || !before->gate.attached);
}

static void receive(void)
{
	uint32_t room = 1 + fuzz_byte() % (LONGEST + 24), at, len;
	struct vnc_vhost_end before = v.in;
	uint16_t waiting = (uint16_t)(v.in.avail->idx - v.in.at);
	uint32_t pokes = fuzz_pokes;
	uint8_t *frame = malloc(room); /* of its exact size: the sanitizer sees a byte more */
	struct iovec iov[2] = {{frame, room / 2}, {frame + room / 2, room - room / 2}};
	ssize_t got;

	CHECK(frame);
	fuzz_watch(&v.in.avail->idx, NULL);
	got = vnc_vhost_readv(&v, iov, 2);
	check_end(&v.in, &before);
	CHECK(got <= (ssize_t)room && (got >= 0 || errno == EAGAIN) && v.in.at == before.at);
	CHECK(got < 0 || pokes != fuzz_pokes || (waiting && waiting <= SIZE));
	if (fuzz_clean) {
		CHECK((got >= 0) == (driver.taken != driver.sent));
		len = VNC_VHOST_HEADER + driver.in_len[driver.taken % SIZE];
		CHECK(got < 0 || (uint32_t)got == (len < room ? len : room));
		for (at = VNC_VHOST_HEADER; at < (uint32_t)(got < 0 ? 0 : got); at++)
			CHECK(frame[at] == byte_of(driver.taken, at - VNC_VHOST_HEADER));
		driver.taken += got >= 0;
	}
	free(frame);
	vnc_vhost_release(&v);
	CHECK(!v.in.pending || !v.in.gate.attached);
}

static void transmit(void)
{
	uint32_t len = 1 + fuzz_byte() % (LONGEST + 8), at, most = legacy ? BUFFER - VNC_VHOST_HEADER : LONGEST;
	struct vnc_vhost_end before = v.out;
	uint16_t room = (uint16_t)(v.out.avail->idx - v.out.at);
	uint8_t *frame = malloc(VNC_VHOST_HEADER + len);
	uint32_t pokes = fuzz_pokes;
	ssize_t done;

	CHECK(frame);
	memset(frame, 0, VNC_VHOST_HEADER);
	for (at = 0; at < len; at++)
		frame[VNC_VHOST_HEADER + at] = byte_of(driver.written, at);
	fuzz_watch(&v.out.avail->idx, NULL);
	done = vnc_vhost_writev(&v, &(struct iovec){frame, VNC_VHOST_HEADER + len}, 1, NULL);
	check_end(&v.out, &before);
	free(frame);
	CHECK(done == (ssize_t)(VNC_VHOST_HEADER + len) ||
	      (done < 0 && (errno == ENOBUFS || errno == EMSGSIZE || errno == EPIPE)));
	CHECK(done >= 0 || v.out.at == before.at);
	CHECK(done < 0 || pokes != fuzz_pokes || (room <= SIZE && (uint16_t)(v.out.at - before.at) <= room));
	if (!fuzz_clean)
		return;
	CHECK(done >= 0 || len > most || (uint32_t)room * BUFFER < v.header + len);
	CHECK(done < 0 || len <= most);
	if (done >= 0)
		driver.out_len[driver.written++ % SIZE] = len;
}

static void operation(void)
{
	bool ready;

	switch (fuzz_byte() % 9) {
	case 0:
	case 1:
		driver_sends();
		break;
	case 2:
		receive();
		break;
	case 3:
		transmit();
		break;
	case 4:
		driver_receives();
		break;
	case 5:
		fuzz_poke_op();
		break;
	case 6:
		vnc_vhost_notify(&v, &v.out);
		vnc_vhost_notify(&v, &v.in);
		CHECK(!v.out.gate.unnotified || !v.out.gate.attached);
		CHECK(!v.in.gate.unnotified || !v.in.gate.attached);
		break;
	case 7:
		vnc_vhost_mask(&v, fuzz_byte() & 1);
		ready = vnc_vhost_ready(&v);
		CHECK(!fuzz_clean || ready == (driver.taken != driver.sent));
		break;
	default:
		attach();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how;

	fuzz_begin(data, size);
	fuzz_area(fuzz_ring(), REGION, OURS);
	how = fuzz_byte();
	legacy = how & 1;
	event_idx = how & 2;
	v.rings.attention_fd = -1;
	attach();
	while (fuzz_more())
		operation();
	return 0;
}
