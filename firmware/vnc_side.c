/* SPDX-License-Identifier: MIT */
/* The handshake of vnc_side.h.  The protocol is docs/wire-format.md, the agents' side vnetcard/link/link.py. */
#include "vnc_side.h"

#define BEAT_MS 100u
#define SILENCE_MS 1000u     /* without a heartbeat: the peer is dead */
#define LONGEST_STEP_MS 250u /* a longer gap between two ticks says nothing about the peer */
#define PAUSE_MS 100u        /* after a violation; doubled each time */
#define MTU_MIN 68u
#define MTU_MAX 65535u
#define ETHERNET_OVERHEAD 22u /* the header and two VLAN tags */
#define GONE 0xffffffffu

static uint32_t get(const struct vnc_side *s, const uint32_t *word)
{
	return vnc_load32(s->config.domain, word);
}

static void set(const struct vnc_side *s, uint32_t *word, uint32_t value)
{
	vnc_store32(s->config.domain, word, value);
}

static uint32_t random32(struct vnc_side *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 17;
	s->random ^= s->random << 5;
	return s->random;
}

/* ---- generations --------------------------------------------------------------------------------- */

static void leave(struct vnc_side *s, enum vnc_side_state state)
{
	s->running = s->up = false;
	if (s->agreed)
		vnc_side_count(s, VNC_LINK_LINK_DOWN);
	s->agreed = false;
	s->state = state;
}

/* Own indices = 0; final_* = the generation in which this side last received. */
static void reset(struct vnc_side *s)
{
	const uint64_t *rx = s->rx_ledger.now;

	vnc_producer_reset(&s->tx, 0);
	vnc_consumer_reset(&s->rx, 0);
	set(s, &s->own->final_own_epoch, (uint32_t)(rx[VNC_LEDGER_GENERATION] >> 32));
	set(s, &s->own->final_peer_epoch, (uint32_t)rx[VNC_LEDGER_GENERATION]);
	vnc_store64(s->config.domain, &s->own->final_records, rx[VNC_LEDGER_GEN_RECORDS]);
}

static void unanswer(struct vnc_side *s)
{
	s->answered = 0;
	set(s, &s->own->answered, 0);
}

/* Step 1: abandon the old generation, which no side enters again. */
static void new_epoch(struct vnc_side *s, enum vnc_side_state state)
{
	uint32_t before = get(s, &s->own->epoch), answered = get(s, &s->peer->answered);

	leave(s, state);
	unanswer(s);
	do
		s->epoch = random32(s);
	while (s->epoch == 0 || s->epoch == GONE || s->epoch == before || s->epoch == answered);
	set(s, &s->own->version, VNC_VERSION);
	set(s, &s->own->features, 0);
	set(s, &s->own->mtu, s->config.mtu);
	set(s, &s->own->irq_number, 0);
	set(s, &s->own->queue_mask, 1);
	set(s, &s->own->frames, s->config.frames);
	set(s, &s->own->layout, s->layout);
	set(s, &s->own->port_down, 0);
	set(s, &s->own->state, VNC_STATE_INIT);
	set(s, &s->own->epoch, s->epoch);
	reset(s);
}

/* Does the peer still read what this side has published?  Another program may write over its block. */
static bool block_stands(const struct vnc_side *s)
{
	return get(s, &s->own->epoch) == s->epoch && get(s, &s->own->answered) == s->answered &&
	       get(s, &s->own->version) == VNC_VERSION && get(s, &s->own->features) == 0 &&
	       get(s, &s->own->mtu) == s->config.mtu && get(s, &s->own->frames) == s->config.frames &&
	       get(s, &s->own->layout) == s->layout;
}

/* After what a correct peer never does: do not read it for a while. */
static void pause(struct vnc_side *s)
{
	uint32_t since = s->ticked_at - s->resume_at;
	bool quiet = since < 0x80000000u && since > 2 * VNC_SIDE_PAUSE_MAX_MS;

	s->pause_ms = quiet || !s->pause_ms ? PAUSE_MS : 2 * s->pause_ms;
	s->pause_ms = s->pause_ms < VNC_SIDE_PAUSE_MAX_MS ? s->pause_ms : VNC_SIDE_PAUSE_MAX_MS;
	s->resume_at = s->ticked_at + s->pause_ms;
	s->violated = false;
	vnc_side_count(s, VNC_LINK_BRAKED);
	new_epoch(s, VNC_SIDE_PAUSED);
}

static void refuse(struct vnc_side *s)
{
	if (s->state != VNC_SIDE_REFUSED) {
		vnc_side_count(s, VNC_LINK_REFUSED);
		leave(s, VNC_SIDE_REFUSED);
		set(s, &s->own->state, VNC_STATE_REFUSED);
	}
	if (s->answered)
		unanswer(s);
}

/* Can this side work with what the peer offers? */
static bool suits(const struct vnc_side *s)
{
	uint32_t mtu = get(s, &s->peer->mtu), layout = get(s, &s->peer->layout);

	return get(s, &s->peer->version) == VNC_VERSION && mtu >= MTU_MIN && mtu <= MTU_MAX &&
	       get(s, &s->peer->frames) == s->config.frames && (!layout || layout == s->layout);
}

/* Step 2: the peer has a new epoch. */
static void answer(struct vnc_side *s, uint32_t epoch)
{
	if (!suits(s)) {
		refuse(s);
		return;
	}
	if (s->answered)
		vnc_side_count(s, VNC_LINK_PEER_RESTART);
	leave(s, VNC_SIDE_HANDSHAKE);
	reset(s);
	set(s, &s->own->state, VNC_STATE_READY);
	s->answered = epoch;
	set(s, &s->own->answered, epoch);
}

/* Count the records of the last generation that the peer, by its final_*, did not receive. */
static void settle(struct vnc_side *s, uint64_t final_generation, uint64_t final_records)
{
	uint64_t *tx = s->tx_ledger.now, sent = tx[VNC_LEDGER_GEN_RECORDS];
	uint64_t mirrored = tx[VNC_LEDGER_GENERATION] << 32 | tx[VNC_LEDGER_GENERATION] >> 32;
	uint64_t received = final_generation == mirrored ? final_records : 0;

	if (!tx[VNC_LEDGER_GENERATION])
		return;
	if (received > sent)
		vnc_side_count(s, VNC_LINK_VIOL_FINAL_COUNT);
	tx[VNC_TX_LOST_RESTART] += sent - (received < sent ? received : sent);
	tx[VNC_LEDGER_GENERATION] = 0;
	tx[VNC_LEDGER_GEN_RECORDS] = 0;
	vnc_ledger_flip(&s->tx_ledger);
}

/* Step 3: both sides have answered. */
static void try_to_run(struct vnc_side *s)
{
	uint32_t overhead = s->config.frames == VNC_FRAMES_ETHERNET ? ETHERNET_OVERHEAD : 0;
	uint32_t mtu = get(s, &s->peer->mtu);
	uint64_t generation = (uint64_t)get(s, &s->peer->final_own_epoch) << 32 | get(s, &s->peer->final_peer_epoch);
	uint64_t records = vnc_load64(s->config.domain, &s->peer->final_records);
	bool good = suits(s);

	if (get(s, &s->peer->answered) != s->epoch || get(s, &s->peer->epoch) != s->answered)
		return; /* the peer restarted during these reads, which may belong to two generations */
	if (!good) {
		refuse(s);
		return;
	}
	settle(s, generation, records);
	s->mtu = mtu < s->config.mtu ? mtu : s->config.mtu;
	s->tx.frame_max = s->rx.frame_max = s->mtu + overhead;
	s->generation = (uint64_t)s->epoch << 32 | s->answered;
	s->serial = s->rx_ledger.now[VNC_RX_GEN_SERIAL] + 1;
	s->tx_ledger.now[VNC_LEDGER_GENERATION] = s->generation;
	s->tx_ledger.now[VNC_LEDGER_GEN_RECORDS] = 0;
	s->tx_ledger.now[VNC_LEDGER_INDEX] = s->tx.prod;
	vnc_ledger_flip(&s->tx_ledger);
	s->peer_beat = get(s, &s->peer->heartbeat);
	s->quiet_ms = 0;
	s->agreed = s->running = true;
	s->violated = false;
	s->state = VNC_SIDE_UP;
	set(s, &s->own->state, VNC_STATE_RUN);
	vnc_side_count(s, VNC_LINK_LINK_UP);
}

static void handle_peer(struct vnc_side *s)
{
	uint32_t epoch = get(s, &s->peer->epoch);

	if (epoch == 0) {
		if (s->state != VNC_SIDE_WAITING)
			leave(s, VNC_SIDE_WAITING);
		if (s->answered)
			unanswer(s);
		return;
	}
	if (epoch != s->answered)
		answer(s, epoch);
	if (!s->agreed && s->answered && get(s, &s->peer->answered) == s->epoch)
		try_to_run(s);
}

static void watch_heartbeat(struct vnc_side *s, uint32_t step)
{
	uint32_t beat = get(s, &s->peer->heartbeat);

	if (beat != s->peer_beat) {
		s->peer_beat = beat;
		s->quiet_ms = 0;
		if (s->state == VNC_SIDE_PEER_DEAD) {
			vnc_side_count(s, VNC_LINK_PEER_BACK);
			s->state = VNC_SIDE_UP;
			s->running = true;
		}
	} else if ((s->quiet_ms += step) >= SILENCE_MS && s->state == VNC_SIDE_UP) {
		vnc_side_count(s, VNC_LINK_PEER_DEAD);
		s->state = VNC_SIDE_PEER_DEAD;
		s->running = false;
	}
	s->up = s->state == VNC_SIDE_UP && !get(s, &s->peer->port_down);
}

/* ---- for the owner --------------------------------------------------------------------------------- */

/** vnc_side_open() - attach to a window that is laid out. Return: VNC_SIDE_OK, or why it cannot be used. */
enum vnc_side_error vnc_side_open(struct vnc_side *s, const struct vnc_side_config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = *config;
	s->random = config->seed ? config->seed : 1;
	if (config->mtu < MTU_MIN || config->mtu > MTU_MAX)
		return VNC_SIDE_BAD_MTU;
	return vnc_side_map(s);
}

/** vnc_side_start() - publish a new epoch. */
void vnc_side_start(struct vnc_side *s, uint32_t now_ms)
{
	s->ticked_at = s->beat_at = s->resume_at = now_ms;
	s->beat = get(s, &s->own->heartbeat);
	if (s->config.name)
		vnc_side_write_identity(s);
	new_epoch(s, VNC_SIDE_WAITING);
}

/** vnc_side_stop() - publish that this side has stopped. */
void vnc_side_stop(struct vnc_side *s)
{
	leave(s, VNC_SIDE_DOWN);
	unanswer(s);
	set(s, &s->own->state, VNC_STATE_DOWN);
	set(s, &s->own->epoch, 0);
}

/** vnc_side_tick() - advance handshake and heartbeat; at least every 100 ms. @now_ms may wrap. */
void vnc_side_tick(struct vnc_side *s, uint32_t now_ms)
{
	uint32_t step = now_ms - s->ticked_at;

	s->ticked_at = now_ms;
	vnc_side_publish(s);
	if (!block_stands(s)) {
		if (get(s, &s->own->version) == GONE) {
			leave(s, VNC_SIDE_GONE);
			return;
		}
		vnc_side_count(s, VNC_LINK_VIOL_SIDE_BLOCK);
		pause(s);
	}
	if (now_ms - s->beat_at >= BEAT_MS) {
		s->beat_at = now_ms;
		s->beat = (s->beat + 1) & 0x7fffffffu;
		set(s, &s->own->heartbeat, s->beat);
	}
	if (s->state == VNC_SIDE_PAUSED && s->resume_at - now_ms < 0x80000000u && s->resume_at != now_ms)
		return;
	if (s->agreed && s->violated) {
		if (get(s, &s->peer->epoch) == s->answered) {
			vnc_side_count(s, VNC_LINK_OWN_RESTART);
			pause(s);
			return;
		}
		s->violated = false; /* the peer has restarted: handle_peer() answers */
	}
	handle_peer(s);
	if (s->agreed)
		watch_heartbeat(s, step < LONGEST_STEP_MS ? step : LONGEST_STEP_MS);
}
