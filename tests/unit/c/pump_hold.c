/* SPDX-License-Identifier: MIT */
/* pump_hold: a pump holds itself while a command waits; only a command other than the one in force takes precedence. */
#include "pump_rig.h"

static uint32_t command_after_hold(uint32_t command)
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
	CHECK(command_after_hold(0x100u | VNC_RUN) == (0x100u | VNC_HOLD)); /* none waits */
	CHECK(command_after_hold(0x200u | VNC_RUN) == (0x200u | VNC_HOLD)); /* the same again, by vnc_pump_set_taps() */
	CHECK(command_after_hold(0x200u | VNC_HOLD) == (0x200u | VNC_HOLD));
	CHECK(command_after_hold(0x200u | VNC_DROP_PEER_DEAD) == (0x200u | VNC_DROP_PEER_DEAD));
	CHECK(command_after_hold(0x200u | VNC_EXIT) == (0x200u | VNC_EXIT));
	puts("ok");
	return 0;
}
