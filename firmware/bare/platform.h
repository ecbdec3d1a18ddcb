/* SPDX-License-Identifier: MIT */
/**
 * DOC: what a card's main needs of its machine: the window's memory, a clock, a number that differs at each start.
 *
 * qemu_user.c is a machine that tests can run: a RISC-V program in QEMU's user mode, whose window is a file.  On a real
 * card the window is an address, and the clock a timer.
 */
#ifndef PLATFORM_H
#define PLATFORM_H
#include <stdint.h>

struct platform_window {
	uint8_t *base;
	uint64_t bytes;
};

/** card_main() - the card; it does not return. */
void card_main(void);

struct platform_window platform_window(void);
uint32_t platform_ms(void);
uint32_t platform_seed(void);
/** platform_idle() - nothing moved: give the processor away for a moment, where there is something to give it to. */
void platform_idle(void);

#endif
