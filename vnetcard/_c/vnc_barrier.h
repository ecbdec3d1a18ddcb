/* SPDX-License-Identifier: MIT */
/**
 * DOC: barriers - the only place where memory ordering is spelled out.
 *
 * Two domains.  COHERENT memory is ordinary RAM that both sides cache (POSIX shm, files).  DEVICE memory
 * lies behind PCIe (a BAR, perhaps write-combining): there the CPU's weaker device rules hold.
 *
 *        producer                                   consumer
 *   write record                               (B) load prod, acquire
 *   (A) store prod, release    --- A : B -->       read record
 *                                                  deliver it
 *   (D) load cons, acquire     <-- C : D ---   (C) store cons, release
 *       reuse the space
 *
 *   (E) full fence                             (F) full fence
 *       between "store index" and                  between "store need_wakeup" and the last look at
 *       "load the peer's need_wakeup"              the index before sleeping
 *
 * E and F are partners: without either, the store may pass the load, the one side goes to sleep just as
 * the other decides that it need not be woken, and a packet lies there until the next one comes.  The
 * same pair, roles swapped, guards a producer that waits for space.
 *
 *   (G) store of a word of the side block, release    --- G : H -->   (H) its load, acquire
 *
 * G orders the handshake: answered = 0, epoch, index lines, answered.
 *
 * I to K are those of a DMA engine's doorbells: see vnc_doorbell.h.
 *
 * TSan does not follow fences, so A to D and G, H are release stores and acquire loads in the coherent
 * domain, and barrier plus plain access only in the device domain.
 */
#ifndef VNC_BARRIER_H
#define VNC_BARRIER_H
#include <stdint.h>

enum vnc_domain { VNC_COHERENT = 0, VNC_DEVICE = 1 };

#if defined(__x86_64__)
#define VNC_DEVICE_WMB() __asm__ volatile("sfence" ::: "memory") /* drains write-combining buffers */
#define VNC_DEVICE_RMB() __asm__ volatile("lfence" ::: "memory")
#define VNC_DEVICE_MB() __asm__ volatile("mfence" ::: "memory")
#define vnc_cpu_relax() __asm__ volatile("pause" ::: "memory")
#elif defined(__aarch64__)
#define VNC_DEVICE_WMB() __asm__ volatile("dmb oshst" ::: "memory") /* outer shareable reaches the bus */
#define VNC_DEVICE_RMB() __asm__ volatile("dmb oshld" ::: "memory")
#define VNC_DEVICE_MB() __asm__ volatile("dmb osh" ::: "memory")
#define vnc_cpu_relax() __asm__ volatile("yield" ::: "memory")
#else
#error "vnetcard knows the barriers of x86-64 and ARM64 only"
#endif

/** vnc_store32() - (A), (C), (G): publish @value at @at after everything stored before. */
static inline void vnc_store32(enum vnc_domain domain, uint32_t *at, uint32_t value)
{
	if (domain == VNC_DEVICE) {
		VNC_DEVICE_WMB();
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
		VNC_DEVICE_WMB(); /* a posted write may otherwise wait in a combining buffer for ever */
	} else {
		__atomic_store_n(at, value, __ATOMIC_RELEASE);
	}
}

/** vnc_load32() - (B), (D), (H): read @at before everything loaded afterwards. */
static inline uint32_t vnc_load32(enum vnc_domain domain, const uint32_t *at)
{
	uint32_t value;

	if (domain == VNC_DEVICE) {
		value = __atomic_load_n(at, __ATOMIC_RELAXED);
		VNC_DEVICE_RMB();
	} else {
		value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	}
	return value;
}

/** vnc_full_fence() - (E), (F): no load afterwards is done before a store ahead of it is visible. */
static inline void vnc_full_fence(enum vnc_domain domain)
{
	if (domain == VNC_DEVICE)
		VNC_DEVICE_MB();
	else
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
