/* SPDX-License-Identifier: MIT */
/**
 * DOC: barriers: the only place where memory ordering is spelled out, for both domains of vnc_access.h.
 *
 *        producer                                   consumer
 *   write record                               (B) load prod, acquire
 *   (A) store prod, release    --- A : B -->       read record
 *                                                  deliver it
 *   (D) load cons, acquire     <-- C : D ---   (C) store cons, release
 *       reuse the space
 *
 *   (E) full fence                             (F) full fence
 *       between "store index" and                  between "store need_wakeup" and the last load
 *       "load the peer's need_wakeup"              of the index before sleeping
 *
 * E and F are partners: without either, the store may pass the load, the one side goes to sleep just as
 * the other decides that it need not be woken, and a packet stays in the ring until the next one comes.
 * The same pair, roles swapped, protects a producer that waits for space.
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
#include "vnc_access.h"

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
#elif defined(__riscv)
#define VNC_DEVICE_WMB() __asm__ volatile("fence ow, ow" ::: "memory") /* memory and I/O: the bus may be either */
#define VNC_DEVICE_RMB() __asm__ volatile("fence ir, ir" ::: "memory")
#define VNC_DEVICE_MB() __asm__ volatile("fence iorw, iorw" ::: "memory")
#define vnc_cpu_relax() __asm__ volatile("" ::: "memory")
#elif defined(__arm__) && __ARM_ARCH >= 7
#define VNC_DEVICE_WMB() __asm__ volatile("dmb st" ::: "memory")
#define VNC_DEVICE_RMB() __asm__ volatile("dmb" ::: "memory")
#define VNC_DEVICE_MB() __asm__ volatile("dmb" ::: "memory")
#define vnc_cpu_relax() __asm__ volatile("" ::: "memory")
#else
#error "vnetcard has barriers for x86-64, ARM64, RISC-V and ARMv7 only"
#endif

/** vnc_wmb() - in the device domain, what was stored before is visible before what is stored after. */
static inline void vnc_wmb(enum vnc_domain domain)
{
	if (VNC_IS_CHECKED(domain))
		vnc_checked_barrier();
	else if (domain != VNC_COHERENT)
		VNC_DEVICE_WMB();
}

/** vnc_rmb() - in the device domain, what was loaded before is older than what is loaded after. */
static inline void vnc_rmb(enum vnc_domain domain)
{
	if (VNC_IS_CHECKED(domain))
		vnc_checked_rmb();
	else if (domain != VNC_COHERENT)
		VNC_DEVICE_RMB();
}

/** vnc_store32() - (A), (C), (G): publish @value at @at after everything stored before. */
static inline void vnc_store32(enum vnc_domain domain, uint32_t *at, uint32_t value)
{
	if (domain == VNC_COHERENT) {
		__atomic_store_n(at, value, __ATOMIC_RELEASE);
		return;
	}
	vnc_wmb(domain);
	vnc_put32(domain, at, value);
	vnc_wmb(domain); /* else a posted write may wait in a combining buffer indefinitely */
}

/** vnc_store64() - as vnc_store32(). */
static inline void vnc_store64(enum vnc_domain domain, uint64_t *at, uint64_t value)
{
#if __SIZEOF_POINTER__ >= 8
	if (domain == VNC_COHERENT) {
		__atomic_store_n(at, value, __ATOMIC_RELEASE);
		return;
	}
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
	vnc_wmb(domain);
	vnc_put64(domain, at, value);
	vnc_wmb(domain);
}

/** vnc_load32() - (B), (D), (H): read @at before everything loaded afterwards. */
static inline uint32_t vnc_load32(enum vnc_domain domain, const uint32_t *at)
{
	uint32_t value;

	if (domain == VNC_COHERENT)
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);
	value = vnc_get32(domain, at);
	vnc_rmb(domain);
	return value;
}

/** vnc_load64() - as vnc_load32(). */
static inline uint64_t vnc_load64(enum vnc_domain domain, const uint64_t *at)
{
	uint64_t value;

#if __SIZEOF_POINTER__ >= 8
	if (domain == VNC_COHERENT)
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);
#endif
	value = vnc_get64(domain, at);
#if __SIZEOF_POINTER__ < 8
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
	vnc_rmb(domain);
	return value;
}

/** vnc_full_fence() - (E), (F): no load afterwards is done before a store ahead of it is visible. */
static inline void vnc_full_fence(enum vnc_domain domain)
{
	if (domain == VNC_COHERENT)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else if (VNC_IS_CHECKED(domain))
		vnc_checked_barrier(), vnc_checked_rmb();
	else
		VNC_DEVICE_MB();
}

#endif
