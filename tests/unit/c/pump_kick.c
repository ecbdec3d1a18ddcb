/* SPDX-License-Identifier: MIT */
/* pump_kick: a kick that comes after its command was taken up must not keep an idle pump awake. Prints its sleeps. */
#include "pump_rig.h"

int main(void)
{
	static struct rig rig;
	static struct vnc_pump p;
	int port[2];

	rig_port(port);
	rig_open_tx(&rig, &p, port[0]);
	CHECK(!vnc_pump_start(&p));
	vnc_pump_command(&p, VNC_RUN);
	usleep(50000);
	vnc_pump_kick(&p); /* as vnc_pump_command() does after a pump that was faster */
	usleep(200000);
	printf("%llu\n", (unsigned long long)__atomic_load_n(&p.stats.shared[VNC_TXSTAT_SLEEPS], __ATOMIC_RELAXED));
	vnc_pump_close(&p);
	return 0;
}
