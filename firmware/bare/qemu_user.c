/* SPDX-License-Identifier: MIT */
/* platform.h for RISC-V, ARM64 and ARMv7 in QEMU's user mode, without a C library: qemu-riscv32 CARD WINDOW-FILE BYTES.
 * The numbers are Linux's: include/uapi/asm-generic/unistd.h, arch/arm/tools/syscall.tbl. */
#include "platform.h"

#if defined(__arm__)
#define NR_OPENAT 322
#define NR_EXIT 1
#define NR_MMAP 192 /* mmap2 */
#define NR_GETRANDOM 384
#else
#define NR_OPENAT 56
#define NR_EXIT 93
#define NR_MMAP 222
#define NR_GETRANDOM 278
#endif
#if __SIZEOF_POINTER__ == 4
#define NR_CLOCK_GETTIME 403
#define NR_NANOSLEEP 407
#else
#define NR_CLOCK_GETTIME 113
#define NR_NANOSLEEP 115
#endif
#define AT_FDCWD (-100)
#define O_RDWR 2
#define PROT_READ_WRITE 3
#define MAP_SHARED 1
#define CLOCK_MONOTONIC 1
#define IDLE_NS 100000

#if defined(__riscv)
#define ARGUMENT "a"
#define NUMBER "a7"
#define CALL "ecall"
#elif defined(__arm__)
#define ARGUMENT "r"
#define NUMBER "r7"
#define CALL "svc 0"
#else
#define ARGUMENT "x"
#define NUMBER "x8"
#define CALL "svc 0"
#endif

static struct platform_window window;

static long system_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r0 __asm__(ARGUMENT "0") = a;
	register long r1 __asm__(ARGUMENT "1") = b;
	register long r2 __asm__(ARGUMENT "2") = c;
	register long r3 __asm__(ARGUMENT "3") = d;
	register long r4 __asm__(ARGUMENT "4") = e;
	register long r5 __asm__(ARGUMENT "5") = f;
	register long which __asm__(NUMBER) = number;

	__asm__ volatile(CALL : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(which) : "memory");
	return r0;
}

struct platform_window platform_window(void)
{
	return window;
}

uint32_t platform_ms(void)
{
	int64_t now[2]; /* seconds, ns */

	system_call(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)now, 0, 0, 0, 0);
	return (uint32_t)now[0] * 1000u + (uint32_t)now[1] / 1000000u;
}

uint32_t platform_seed(void)
{
	uint32_t seed = 0;

	system_call(NR_GETRANDOM, (long)&seed, sizeof(seed), 0, 0, 0, 0);
	return seed;
}

void platform_idle(void)
{
	const int64_t pause[2] = {0, IDLE_NS};

	system_call(NR_NANOSLEEP, CLOCK_MONOTONIC, 0, (long)pause, 0, 0, 0);
}

__attribute__((used)) static void begin(const long *stack)
{
	const char *path = (const char *)stack[2], *digits = (const char *)stack[3];
	long fd, place;

	if (stack[0] != 3)
		system_call(NR_EXIT, 2, 0, 0, 0, 0, 0);
	for (; *digits; digits++)
		window.bytes = 10 * window.bytes + (uint64_t)(*digits - '0');
	fd = system_call(NR_OPENAT, AT_FDCWD, (long)path, O_RDWR, 0, 0, 0);
	place = system_call(NR_MMAP, 0, (long)window.bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || (place < 0 && place > -4096))
		system_call(NR_EXIT, 1, 0, 0, 0, 0, 0);
	window.base = (uint8_t *)place;
	card_main();
}

#if defined(__riscv)
__asm__(".globl _start\n"
	"_start:\n"
	".option push\n"
	".option norelax\n"
	"	la gp, __global_pointer$\n"
	".option pop\n"
	"	mv a0, sp\n"
	"	andi sp, sp, -16\n"
	"	call begin\n");
#elif defined(__arm__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov r0, sp\n"
	"	bic sp, sp, #7\n"
	"	bl begin\n");
#else
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl begin\n");
#endif
