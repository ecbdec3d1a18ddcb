/* SPDX-License-Identifier: MIT */
/* What a hostile peer writes, one mutation after the other. */
#include "hostile.h"

/* A number that an attacker may choose, around @good and the ring's @size. */
static uint32_t evil(struct setup *w, uint32_t good, uint32_t size)
{
	switch (below(&w->random, 14)) {
	case 0: return 0;
	case 1: return 0xffffffffu;
	case 2: return good + VNC_LINE;
	case 3: return good - VNC_LINE;
	case 4: return good + size;
	case 5: return good + size + VNC_LINE;
	case 6: return good - size;
	case 7: return good + 1 + below(&w->random, 63);
	case 8: return 0x80000000u;
	case 9: return size;
	case 10: return 0xffffffffu - below(&w->random, 128);
	case 11: return below(&w->random, 2 * size) & ~(VNC_LINE - 1);
	case 12: return good;
	default: return (uint32_t)rnd(&w->random);
	}
}

static uint64_t head_of(uint32_t len, uint32_t flags, uint32_t hdr_len)
{
	return len | (uint64_t)(flags & 0xffff) << 32 | (uint64_t)(hdr_len & 0xffff) << 48;
}

/* Write a record at the place that the rx pump reads next; @wrong: the kind of its error, 0: none. */
static void record(struct setup *w, uint32_t wrong)
{
	uint32_t cons = peek32(&w->shared->rx_own.cons), seq = peek32(&w->rx.consumer.seq);
	uint64_t *place = (uint64_t *)(void *)(w->rx_ring + (cons & (w->ring - 1) & ~(VNC_LINE - 1)));
	uint32_t vnet = w->features & VNC_F_CSUM ? 1 : 0, hdr_len = vnet ? VNC_VNET_HDR : 0;
	uint32_t len = hdr_len + 1 + below(&w->random, below(&w->random, 4) ? 200 : w->packet_max);
	uint32_t span = vnc_record_bytes(len);

	switch (wrong) {
	case 1:
		len = evil(w, len, w->ring);
		break;
	case 2: /* valid, but it extends beyond prod */
		len = span - VNC_RECORD_HEADER + 1 + below(&w->random, w->packet_max);
		break;
	case 3:
		if (below(&w->random, 2))
			vnet = (uint32_t)rnd(&w->random);
		else if (below(&w->random, 2))
			hdr_len = below(&w->random, 2) ? VNC_VNET_HDR - hdr_len : below(&w->random, len);
		else
			hdr_len = evil(w, hdr_len, len);
		break;
	case 4:
		seq = evil(w, seq, 1);
		break;
	}
	poke64(&place[2], below(&w->random, 3) ? 0 : rnd(&w->random)); /* a virtio_net_hdr, if there is one */
	poke64(&place[3], 0x4500000045000000);
	poke64(&place[1], seq);
	poke64(&place[0], head_of(len, vnet, hdr_len));
	__atomic_store_n(&w->shared->rx_peer.prod, cons + span, __ATOMIC_RELEASE);
	vnc_futex_wake(&w->shared->rx_peer.prod);
	/* Change the record while it is read. */
	for (uint32_t n = wrong ? 0 : below(&w->random, 3) * 500; n && peek32(&w->shared->rx_own.cons) == cons; n--) {
		poke64(&place[0], head_of(n % 2 ? len : evil(w, len, w->ring), vnet, hdr_len));
		poke64(&place[2], rnd(&w->random) & rnd(&w->random) & rnd(&w->random));
	}
}

static void index_line(struct setup *w)
{
	struct shared *s = w->shared;
	uint32_t prod = peek32(&s->tx_own.prod), cons = peek32(&s->rx_own.cons);

	switch (below(&w->random, 8)) {
	case 0:
		poke32(&s->tx_peer.cons, evil(w, prod, w->ring));
		break;
	case 1:
		poke32(&s->rx_peer.prod, evil(w, cons, w->ring));
		break;
	case 2:
		poke32(&s->tx_peer.need_wakeup, evil(w, 1, w->ring));
		break;
	case 3:
		poke32(&s->rx_peer.need_wakeup, evil(w, 1, w->ring));
		break;
	default: /* consume, so that packets flow */
		poke32(&s->tx_peer.cons, prod);
	}
	vnc_futex_wake(&s->tx_peer.cons);
}

static void side_block(struct setup *w)
{
	uint32_t *words = (uint32_t *)(void *)&w->shared->peer, epoch = peek32(&words[0]);

	if (below(&w->random, 4)) {
		poke32(&words[1 + below(&w->random, 12)], evil(w, epoch, w->ring));
	} else {
		poke32(&words[0], evil(w, epoch, w->ring));
		if (below(&w->random, 2))
			poke32(&words[0], epoch); /* for a moment only */
	}
}

/* Overwrite any word of anything. */
static void anywhere(struct setup *w)
{
	uint32_t at = below(&w->random, w->ring / 4);

	switch (below(&w->random, 4)) {
	case 0:
		poke32((uint32_t *)(void *)w->rx_ring + at, evil(w, 100, w->ring));
		break;
	case 1:
		poke32((uint32_t *)(void *)w->tx_ring + at, (uint32_t)rnd(&w->random));
		break;
	default: /* not the statistics: the harness reads them at the end */
		at %= (uint32_t)((uint8_t *)w->shared->tx_stats - (uint8_t *)w->shared) / 4;
		poke32((uint32_t *)(void *)w->shared + at, evil(w, 64, w->ring));
	}
}

/** attack() - make one mutation. */
void attack(struct setup *w)
{
	uint32_t kind = below(&w->random, 100);

	if (kind < 40)
		record(w, 0);
	else if (kind < 60)
		record(w, 1 + below(&w->random, 4));
	else if (kind < 90)
		index_line(w);
	else if (kind < 95)
		side_block(w);
	else
		anywhere(w);
}
