/* SPDX-License-Identifier: MIT */
/* A pump with the settings that an input chooses; its taps are in private memory, with a reader that never reads. */
#include "pump.h"

#define TAP_BYTES 8192u

static struct vnc_pump pump;
static struct vnc_tap tap;
static struct {
	struct vnc_tap_prod prod;
	struct vnc_tap_cons cons;
	uint8_t ring[TAP_BYTES];
} segment __attribute__((aligned(64)));
static uint32_t doorbell;

/** fuzz_read_setup() - read the settings from the script. */
void fuzz_read_setup(struct fuzz_setup *setup)
{
	static const uint32_t features[] = {
		0, VNC_F_CSUM, VNC_F_CSUM | VNC_F_TSO4 | VNC_F_TSO6, VNC_F_CSUM | VNC_F_USO4 | VNC_F_USO6,
	};
	uint8_t how = fuzz_byte(), wake = fuzz_byte();

	setup->domain = how % 3;
	setup->vnet_port = how & 4;
	setup->features = setup->vnet_port ? features[how / 8 % 4] : 0;
	setup->tapped = how & 32;
	setup->filtered = how & 64;
	setup->futex = wake & 1;
	setup->doorbell = wake & 2;
	setup->ethernet = wake & 8;
	setup->punts = wake & 16;
	setup->bypass = wake & 32;
	setup->neighbours = (wake & 64) && !setup->ethernet && !setup->punts;
	setup->features |= wake & 4 ? VNC_F_WAKE : 0;
	setup->packet_max = 68 + fuzz_u16() % 1900;
}

/** fuzz_new_pump() - a pump ready to be opened; the last one must be closed. */
struct vnc_pump *fuzz_new_pump(const struct fuzz_setup *setup, const uint32_t *peer_epoch)
{
	memset(&pump, 0, sizeof(pump));
	memset(&segment, 0, sizeof(segment));
	memset(&tap, 0, sizeof(tap));
	pump.port.vnet = setup->vnet_port;
	pump.port.ethernet = setup->ethernet;
	pump.port.fd = pump.attention_fd = -1;
	pump.link.peer_epoch = peer_epoch;
	pump.futex = setup->futex;
	if (setup->doorbell)
		pump.doorbell.reg = &doorbell;
	if (!setup->tapped)
		return &pump;
	tap = (struct vnc_tap){.ring = segment.ring, .size = TAP_BYTES, .own = &segment.prod, .reader = &segment.cons,
			       .stages = 0x3f, .bytes_of = 0x3f, .snap = 100, .sample = 3};
	pump.taps.stages = tap.stages;
	pump.taps.count = 1;
	pump.taps.tap[0] = &tap;
	return &pump;
}

/** fuzz_check_taps() - the events fit the ring; the reader frees all of them. */
void fuzz_check_taps(void)
{
	CHECK(tap.prod % VNC_LINE == 0 && tap.prod - segment.cons.cons <= TAP_BYTES);
	segment.cons.cons = tap.prod;
}

/** fuzz_vnet() - a virtio_net_hdr of @kind for a packet of @len bytes; some are impossible. */
struct vnc_vnet_hdr fuzz_vnet(uint8_t kind, uint32_t len)
{
	static const uint8_t gso[] = {VNC_GSO_NONE, VNC_GSO_TCPV4, VNC_GSO_TCPV6, VNC_GSO_UDP_L4, 2, 0x81};
	struct vnc_vnet_hdr hdr = {0};

	if (!kind)
		return hdr;
	hdr.gso_type = gso[kind % 8 < 6 ? kind % 8 : 0];
	hdr.gso_size = hdr.gso_type && !(kind & 8) ? 500 : 0;
	hdr.flags = kind & 16 ? VNC_VNET_NEEDS_CSUM : kind & 32 ? 4 : 0;
	hdr.csum_offset = 16;
	hdr.csum_start = kind & 64 && len > 17 ? (uint16_t)(len - 17) : 20; /* then its field ends one byte behind */
	if ((kind & 48) == 48) { /* it lies in the source address of IPv4 */
		hdr.csum_start = 12;
		hdr.csum_offset = 0;
	}
	hdr.hdr_len = kind % 32 == 31 ? 0xffff : (uint16_t)(len < 40 ? len : 40);
	return hdr;
}
