/* SPDX-License-Identifier: MIT */
/* A pump that stops by itself while a command is on its way: only another command than the one in force goes before. */
#include "harness.h"
#include "vnc_pump.h"
#include <sys/eventfd.h>

static uint32_t after_hold(uint32_t command)
{
	static struct vnc_pump p;

	p.attention_fd = eventfd(0, EFD_NONBLOCK);
	p.done = 0x100u | VNC_RUN;
	p.command = command;
	vnc_pump_hold(&p, VNC_EVENT_EPOCH);
	CHECK(vnc_pump_take_events(&p) == VNC_EVENT_EPOCH);
	close(p.attention_fd);
	return p.command;
}

int main(void)
{
	CHECK(after_hold(0x100u | VNC_RUN) == (0x100u | VNC_HOLD)); /* none is on its way */
	CHECK(after_hold(0x200u | VNC_RUN) == (0x200u | VNC_HOLD)); /* the same again, as vnc_pump_tap() gives it */
	CHECK(after_hold(0x200u | VNC_HOLD) == (0x200u | VNC_HOLD));
	CHECK(after_hold(0x200u | VNC_DROP_PEER_DEAD) == (0x200u | VNC_DROP_PEER_DEAD));
	CHECK(after_hold(0x200u | VNC_EXIT) == (0x200u | VNC_EXIT));
	puts("ok");
	return 0;
}
