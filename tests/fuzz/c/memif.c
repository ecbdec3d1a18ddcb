/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the client's or the server's ends of vnc_memif.h against a peer that writes anything into the region.
 * A frame is never longer than its buffer, nothing outside the region is touched, and after a fault an end is not used
 * any more.  Until the first poke each frame arrives once, in order, unchanged.
 */
#include "fuzz.h"
#include "vnc_memif_attach.h"
#include "vnc_memif_io.h"

#define LOG2 2u
#define SLOTS (1u << LOG2)
#define BUFFER 64u
#define RING (sizeof(struct vnc_memif_ring) + SLOTS * sizeof(struct vnc_memif_desc))
#define BUFFERS (2 * RING)
#define REGION (BUFFERS + 2 * SLOTS * BUFFER)
#define LONGEST (SLOTS * BUFFER)

static struct vnc_memif m;
static bool client;
static const struct vnc_memif_place s2m = {0, 0, LOG2}, m2s = {0, RING, LOG2};
static uint32_t in_ring, out_ring; /* offsets: from the peer, and to it */

/* The honest peer: its indices, and the numbers of the next frames in both directions. */
static struct {
	uint16_t in, out;
	uint32_t sent, received, taken, written;
	uint32_t in_len[SLOTS], out_len[SLOTS];
} peer;

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 37 + at * 5 + 1);
}

static struct vnc_memif_ring *ring_at(uint32_t offset)
{
	return (struct vnc_memif_ring *)(void *)(fuzz_ring() + offset);
}

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	uint8_t *ring = fuzz_ring() + (where & 1 ? in_ring : out_ring), *at;

	switch (where / 2 % 4) {
	case 0: /* flags and head */
		at = ring + 4;
		break;
	case 1:
		at = ring + 64;
		break;
	case 2: /* flags, region and length; offset */
		at = ring + 128 + 16 * (where / 8 % SLOTS) + where / 32 % 2 * 8;
		*bits = 64;
		*good = *fuzz_raw64(at);
		return at;
	default:
		*bits = 64;
		return fuzz_ring() + where / 8 % (REGION / 8) * 8;
	}
	*good = *fuzz_raw32(at);
	return at;
}

/* ---- the honest peer ----------------------------------------------------------------------------- */

static uint8_t *buffer_of(uint32_t ring, uint32_t slot)
{
	return fuzz_ring() + BUFFERS + (ring == m2s.offset ? SLOTS * BUFFER : 0) + slot % SLOTS * BUFFER;
}

/* As a client it names its buffers; the server's answers stay in them. */
static void describe(uint32_t ring, uint32_t slot, uint32_t len, bool more)
{
	struct vnc_memif_desc *d = &ring_at(ring)->desc[slot % SLOTS];

	*d = (struct vnc_memif_desc){.flags = more, .length = len,
				     .offset = (uint32_t)(buffer_of(ring, slot) - fuzz_ring())};
}

static void peer_sends(void)
{
	uint32_t len = 1 + fuzz_byte() % LONGEST, left = len, at = 0, n;
	struct vnc_memif_ring *ring = ring_at(in_ring);
	uint16_t room = client ? (uint16_t)(ring->head - peer.in) : (uint16_t)(ring->tail + SLOTS - peer.in);

	if (!fuzz_clean || room > SLOTS || (len + BUFFER - 1) / BUFFER > room)
		return;
	peer.in_len[peer.sent % SLOTS] = len;
	for (; left; left -= n, peer.in++) {
		n = left < BUFFER ? left : BUFFER;
		describe(in_ring, peer.in, n, left > BUFFER);
		for (uint32_t to = at + n; at < to; at++)
			buffer_of(in_ring, peer.in)[at % BUFFER] = byte_of(peer.sent, at);
	}
	*(client ? &ring->tail : &ring->head) = peer.in;
	peer.sent++;
}

static void peer_receives(void)
{
	struct vnc_memif_ring *ring = ring_at(out_ring);
	uint16_t filled = (uint16_t)((client ? ring->head : ring->tail) - peer.out);
	const struct vnc_memif_desc *d;
	uint32_t at = 0, n;
	bool more = true;

	if (!fuzz_clean || !filled)
		return;
	CHECK(filled <= SLOTS);
	for (; more; peer.out++) {
		d = &ring->desc[peer.out % SLOTS];
		more = d->flags & VNC_MEMIF_NEXT;
		CHECK(fuzz_ring() + d->offset == buffer_of(out_ring, peer.out));
		CHECK(d->region == 0 && d->length <= BUFFER);
		for (n = 0; n < d->length; n++, at++)
			CHECK(buffer_of(out_ring, peer.out)[n] == byte_of(peer.received, at));
		if (!client)
			describe(out_ring, peer.out, BUFFER, false);
	}
	CHECK(at == peer.out_len[peer.received % SLOTS]);
	peer.received++;
	*(client ? &ring->tail : &ring->head) = client ? peer.out : (uint16_t)(peer.out + SLOTS);
}

/* ---- operations ---------------------------------------------------------------------------------- */

static void attach(void)
{
	static const struct vnc_memif_buffers ours = {BUFFERS + SLOTS * BUFFER, BUFFERS, BUFFER}, none;
	uint32_t n;

	vnc_memif_detach(&m);
	memset(fuzz_ring(), 0, REGION);
	memset(&peer, 0, sizeof(peer));
	ring_at(s2m.offset)->cookie = ring_at(m2s.offset)->cookie = VNC_MEMIF_COOKIE;
	for (n = 0; n < SLOTS && !client; n++)
		describe(m2s.offset, n, BUFFER, false);
	if (!client)
		ring_at(m2s.offset)->head = SLOTS;
	fuzz_forget_pokes();
	m.rings.region[0] = (struct vnc_rings_region){fuzz_ring(), REGION, NULL};
	m.rings.regions = 1;
	CHECK(vnc_memif_attach(&m, client ? &m2s : &s2m, client ? &s2m : &m2s, client ? &ours : &none, -1));
}

/* After each call: its index was read once, and only an attached end has moved. */
static void check_end(const struct vnc_memif_end *e, const struct vnc_memif_end *before)
{
	CHECK(!e->gate.locked && fuzz_watched <= 1);
	CHECK(before->gate.attached || e->at == before->at);
	CHECK(e->gate.attached || !before->gate.attached || m.rings.fault);
	CHECK((uint16_t)(e->at - before->at) <= SLOTS && e->pending <= SLOTS);
	CHECK(!fuzz_clean || e->gate.attached || !before->gate.attached);
}

static void receive(void)
{
	uint32_t room = 1 + fuzz_byte() % (LONGEST + 8), at;
	struct vnc_memif_end before = m.in;
	uint16_t filled = (uint16_t)(*m.in.peer + m.in.behind - m.in.at);
	uint32_t pokes = fuzz_pokes;
	uint8_t *frame = malloc(room); /* of its exact size: the sanitizer sees a byte more */
	struct iovec iov[2] = {{frame, room / 2}, {frame + room / 2, room - room / 2}};
	ssize_t got;

	CHECK(frame);
	fuzz_watch(m.in.peer, NULL);
	got = vnc_memif_readv(&m, iov, 2);
	check_end(&m.in, &before);
	CHECK(got <= (ssize_t)room && (got >= 0 || errno == EAGAIN) && m.in.at == before.at);
	CHECK(!client || got <= (ssize_t)LONGEST);
	CHECK(got < 0 || pokes != fuzz_pokes || (filled <= SLOTS && m.in.pending <= filled));
	if (fuzz_clean) {
		CHECK((got >= 0) == (peer.taken != peer.sent));
		if (got >= 0)
			CHECK((uint32_t)got == (peer.in_len[peer.taken % SLOTS] < room ?
						peer.in_len[peer.taken % SLOTS] : room));
		for (at = 0; at < (uint32_t)(got < 0 ? 0 : got); at++)
			CHECK(frame[at] == byte_of(peer.taken, at));
		peer.taken += got >= 0;
	}
	free(frame);
	vnc_memif_release(&m);
	CHECK(!m.in.pending || !m.in.gate.attached);
}

static void transmit(void)
{
	uint32_t len = 1 + fuzz_byte() % (LONGEST + 8), at, waiting;
	struct vnc_memif_end before = m.out;
	uint16_t room = (uint16_t)(*m.out.peer + m.out.behind - m.out.at);
	uint8_t *frame = malloc(len);
	uint32_t pokes = fuzz_pokes;
	ssize_t done;

	CHECK(frame);
	for (at = 0; at < len; at++)
		frame[at] = byte_of(peer.written, at);
	waiting = peer.written - peer.received;
	fuzz_watch(m.out.peer, NULL);
	done = vnc_memif_writev(&m, &(struct iovec){frame, len}, 1, NULL);
	check_end(&m.out, &before);
	free(frame);
	CHECK(done == (ssize_t)len || (done < 0 && (errno == ENOBUFS || errno == EMSGSIZE || errno == EPIPE)));
	CHECK(done >= 0 || m.out.at == before.at);
	CHECK(done < 0 || pokes != fuzz_pokes || (room <= SLOTS && (uint16_t)(m.out.at - before.at) <= room));
	if (!fuzz_clean)
		return;
	CHECK((len > LONGEST) == (done < 0 && errno == EMSGSIZE) || waiting);
	CHECK(done >= 0 || waiting || len > LONGEST);
	if (done >= 0)
		peer.out_len[peer.written++ % SLOTS] = len;
}

static void operation(void)
{
	bool ready;

	switch (fuzz_byte() % 9) {
	case 0:
	case 1:
		peer_sends();
		break;
	case 2:
		receive();
		break;
	case 3:
		transmit();
		break;
	case 4:
		peer_receives();
		break;
	case 5:
		fuzz_poke_op();
		break;
	case 6:
		vnc_memif_notify(&m);
		CHECK(!m.out.gate.unnotified || !m.out.gate.attached);
		break;
	case 7:
		vnc_memif_mask(&m, fuzz_byte() & 1);
		ready = vnc_memif_ready(&m);
		CHECK(!fuzz_clean || ready == (peer.taken != peer.sent));
		break;
	default:
		attach();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	fuzz_area(fuzz_ring(), REGION, OURS);
	client = fuzz_byte() & 1;
	in_ring = client ? m2s.offset : s2m.offset;
	out_ring = client ? s2m.offset : m2s.offset;
	m.rings.attention_fd = -1;
	attach();
	while (fuzz_more())
		operation();
	return 0;
}
