/* SPDX-License-Identifier: MIT */
/**
 * DOC: static probes (USDT) at the stages of a pump, for bpftrace, perf and SystemTap: docs/observing.md lists them.
 *
 * A probe is one nop, and a note in the ELF file that says where its arguments are.  It needs <sys/sdt.h> of SystemTap
 * (Debian: systemtap-sdt-dev) when the core is compiled; without it, or with VNC_PROBES=0, probes are nothing at all.
 */
#ifndef VNC_PROBE_H
#define VNC_PROBE_H

#ifndef VNC_PROBES
#define VNC_PROBES 1
#endif

#if VNC_PROBES && defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define VNC_PROBE2(name, a, b) DTRACE_PROBE2(vnetcard, name, a, b)
#define VNC_PROBE3(name, a, b, c) DTRACE_PROBE3(vnetcard, name, a, b, c)
#endif
#endif

#ifndef VNC_PROBE2
#define VNC_PROBE2(name, a, b) ((void)0)
#define VNC_PROBE3(name, a, b, c) ((void)0)
#endif

#endif
