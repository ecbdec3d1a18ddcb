/* SPDX-License-Identifier: MIT */
/* A kick that comes after its command was taken up must not keep an idle pump awake: pump_kick; prints its sleeps. */
#include "harness.h"
#include "vnc_pump.h"
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int main(void)
{
	static uint8_t ring[VNC_RING_MIN] __attribute__((aligned(64)));
	static uint64_t ledger[2 * VNC_LEDGER_WORDS], stats[16], batches[VNC_BATCH_WORDS];
	static struct vnc_prod_line own;
	static struct vnc_cons_line peer;
	static uint32_t epoch;
	static struct vnc_pump p;
	uint64_t one = 1;
	int port[2];

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, port));
	p.tx = p.futex = true;
	p.port.fd = port[0];
	p.link.peer_epoch = &epoch;
	p.link.packet_max = 1500;
	p.producer = (struct vnc_producer){.ring = ring, .size = sizeof(ring), .frame_max = 1500, .own = &own, .peer = &peer};
	p.stats = stats;
	p.notes.batches = batches;
	p.kick_fd = eventfd(0, EFD_NONBLOCK);
	p.attention_fd = eventfd(0, EFD_NONBLOCK);
	vnc_ledger_open(&p.ledger, VNC_COHERENT, ledger);
	CHECK(!vnc_pump_start(&p));
	vnc_pump_command(&p, VNC_RUN);
	usleep(50000);
	CHECK(write(p.kick_fd, &one, sizeof(one)) == sizeof(one)); /* as vnc_pump_command() does when the pump was faster */
	usleep(200000);
	printf("%llu\n", (unsigned long long)__atomic_load_n(&stats[VNC_TXSTAT_SLEEPS], __ATOMIC_RELAXED));
	vnc_pump_stop(&p);
	return 0;
}
