/* SPDX-License-Identifier: MIT */
/* The smallest card: it answers IPv4 pings of any size, without lwIP. */
#include "platform.h"
#include "vnc_side.h"

#define ICMP 1u
#define ECHO_REQUEST 8u

static uint8_t packet[VNC_FRAME_MAX];

static void swap(uint8_t *a, uint8_t *b, unsigned int bytes)
{
	while (bytes--) {
		uint8_t was = *a;

		*a++ = *b;
		*b++ = was;
	}
}

/* Turn the request of @len bytes in packet[] into its reply. Return: false if it is none. */
static bool answer(uint32_t len)
{
	uint32_t head = 4 * (packet[0] & 15u), sum;

	if (len < 28 || packet[0] >> 4 != 4 || head < 20 || head + 8 > len || packet[9] != ICMP ||
	    (packet[6] & 0x3f) || packet[7] || packet[head] != ECHO_REQUEST)
		return false;
	swap(&packet[12], &packet[16], 4);
	packet[head] = 0;
	sum = ((uint32_t)packet[head + 2] << 8 | packet[head + 3]) + (ECHO_REQUEST << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	packet[head + 2] = (uint8_t)(sum >> 8);
	packet[head + 3] = (uint8_t)sum;
	return true;
}

static void send(struct vnc_side *side, uint32_t len)
{
	struct vnc_span span[2];
	bool full;

	do {
		if (vnc_side_reserve(side, len, span, &full)) {
			vnc_ring_write(&side->tx, span, packet, len);
			vnc_side_commit(side, len);
			return;
		}
		vnc_side_tick(side, platform_ms());
	} while (full && side->up);
}

void card_main(void)
{
	static struct vnc_side side;
	struct platform_window window = platform_window();
	struct vnc_side_config config = {
		.window = window.base, .bytes = window.bytes, .side = VNC_SIDE_CARD, .domain = VNC_COHERENT,
		.mtu = 65535, .frames = VNC_FRAMES_IP, .seed = platform_seed(), .name = "ping card"};
	struct vnc_view view;

	while (vnc_side_open(&side, &config) != VNC_SIDE_OK)
		platform_idle();
	vnc_side_start(&side, platform_ms());
	for (;;) {
		vnc_side_tick(&side, platform_ms());
		if (!vnc_side_peek(&side, &view)) {
			platform_idle();
			continue;
		}
		vnc_ring_read(&side.rx, &view, packet);
		vnc_side_release(&side, &view, 0);
		if (answer(view.len))
			send(&side, view.len);
	}
}
