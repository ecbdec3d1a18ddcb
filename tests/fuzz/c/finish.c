/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: finishing a packet (vnc_finish.h) whose virtio_net_hdr and headers are hostile.  The packet has memory
 * of exactly its size, which the sanitizer watches.  What is accepted has its payload once, in order, in packets with
 * right lengths and checksums.  An input is: whether it is a frame, or one whose Ethernet header is taken off first
 * (vnc_neighbour.h); the virtio_net_hdr; the packet.
 */
#include "fuzz.h"
#include "vnc_neighbour.h"

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	(void)where, (void)bits, (void)good;
	return NULL;
}

/* The ones' complement sum of @len bytes after @sum, byte by byte: 0xffff where a checksum in it is right. */
static uint32_t total(const uint8_t *at, uint32_t len, uint32_t sum)
{
	uint32_t n;

	for (n = 0; n < len; n++) {
		sum += n & 1 ? at[n] : (uint32_t)at[n] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static void check_segment(const struct vnc_finish *f, const uint8_t *packet, uint32_t bytes)
{
	const uint8_t *ip = packet + f->l3, *transport = packet + f->l4;
	uint32_t covered = bytes - f->l4, sum = total(transport, covered, (f->udp ? 17 : 6) + covered);

	if (f->ipv6) {
		CHECK(vnc_get_be16(ip + 4) == bytes - f->l3 - 40);
		sum = total(ip + 8, 32, sum);
	} else {
		CHECK(vnc_get_be16(ip + 2) == bytes - f->l3);
		CHECK(total(ip, f->l4 - f->l3, 0) == 0xffff);
		sum = total(ip + 12, 8, sum);
	}
	CHECK(sum == 0xffff);
	if (f->udp)
		CHECK(vnc_get_be16(transport + 4) == covered && vnc_get_be16(transport + 6));
}

static void check_whole(const struct vnc_vnet_hdr *hdr, const uint8_t *before, const uint8_t *packet, uint32_t len)
{
	uint32_t field = (uint32_t)hdr->csum_start + hdr->csum_offset, n;
	bool partial = hdr->flags & VNC_VNET_NEEDS_CSUM;

	for (n = 0; n < len; n++)
		CHECK(packet[n] == before[n] || (partial && (n == field || n == field + 1)));
}

/* Take the Ethernet header off. Return: the length of the IP packet behind it; 0: there is none. */
static uint32_t take_off(struct vnc_vnet_hdr *hdr, const uint8_t *frame, uint32_t len)
{
	const struct vnc_vnet_hdr before = *hdr;
	uint32_t ip = vnc_ethernet_off(hdr, frame, len);

	CHECK(!ip || ip + VNC_ETHERNET_HEADER <= len);
	if (!ip)
		return 0;
	CHECK(!(before.flags & 1) || hdr->csum_start + VNC_ETHERNET_HEADER == before.csum_start);
	CHECK(hdr->hdr_len <= ip && hdr->hdr_len <= before.hdr_len);
	CHECK(before.gso_type || ip == (frame[14] >> 4 == 4 ? frame[16] * 256u + frame[17]
							      : 40 + frame[18] * 256u + frame[19]));
	return ip;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int frame = size && (data[0] & 3) == 1;
	uint32_t len = size > 11 ? (uint32_t)size - 11 : 0, bytes, done = 0, largest = 0;
	uint8_t *memory, *packet, *next;
	struct vnc_finish f;
	struct vnc_vnet_hdr hdr;

	if (size < 11)
		return 0;
	memory = packet = malloc(len ? len : 1);
	CHECK(packet);
	memcpy(&hdr, data + 1, sizeof(hdr));
	memcpy(packet, data + 11, len);
	data += 11;
	if (data[-11] & 2) {
		len = take_off(&hdr, packet, len);
		packet += len ? VNC_ETHERNET_HEADER : 0;
		data += len ? VNC_ETHERNET_HEADER : 0;
	}
	if (vnc_finish_begin(&f, &hdr, packet, len, frame)) {
		CHECK(!memcmp(packet, data, len));
		free(memory);
		return 0;
	}
	CHECK(f.head <= len && f.head <= VNC_FINISH_HEADERS);
	while ((bytes = vnc_finish_next(&f, &next))) {
		CHECK(next >= packet && next + bytes <= packet + len && bytes >= f.head);
		if (f.head)
			check_segment(&f, next, bytes);
		else
			check_whole(&hdr, data, next, bytes);
		CHECK(!f.head || !memcmp(next + f.head, data + f.head + done, bytes - f.head));
		done += bytes - f.head;
		largest = bytes > largest ? bytes : largest;
		CHECK(vnc_finish_left(&f) == (f.head + done < len));
	}
	CHECK(f.head + done == len && largest == vnc_finish_largest(&f));
	free(memory);
	return 0;
}
