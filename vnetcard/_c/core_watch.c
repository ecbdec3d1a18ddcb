/* SPDX-License-Identifier: MIT */
/* _core.Memory.watch(): what a link that is up and at rest needs: heartbeats, and an eye on what ends its rest. */
#include "core_py.h"
#include <poll.h>

#define FDS_MAX 8
#define SECONDS_MAX 3600.0
#define SECOND_NS 1000000000ll
/* A gap between two readings counts at most as long as the peer's silence: in a longer one this process was stopped. */
#define LONGEST_STEP_NS 250000000ll
#define WORDS (VNC_LINE / 4)
#define HEARTBEAT (offsetof(struct vnc_side_control, heartbeat) / 4)

struct watch {
	MemoryObject *memory;
	uint32_t *own, *peer;                  /* control lines */
	uint32_t own_seen[WORDS], peer_seen[WORDS];
	uint32_t beat, peer_beat;
	struct pollfd fds[FDS_MAX];
	nfds_t count;
	int64_t still_ns; /* how long the peer's heartbeat has stood still */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* Has a word of @line changed since @seen, other than the heartbeat? */
static bool changed(enum vnc_domain domain, const uint32_t *line, const uint32_t *seen)
{
	size_t n;

	for (n = 0; n < WORDS; n++)
		if (n != HEARTBEAT && vnc_get32(domain, &line[n]) != seen[n])
			return true;
	return false;
}

/* Read both control lines, @step_ns after the last time. Return: whether the rest is over. */
static bool read_lines(struct watch *w, int64_t step_ns, int64_t limit_ns)
{
	enum vnc_domain domain = w->memory->domain;
	uint32_t beat = vnc_load32(domain, &w->peer[HEARTBEAT]);

	w->still_ns = beat == w->peer_beat ? w->still_ns + step_ns : 0;
	w->peer_beat = beat;
	return w->still_ns >= limit_ns || changed(domain, w->peer, w->peer_seen) ||
	       changed(domain, w->own, w->own_seen) ||
	       (w->memory->lost && __atomic_load_n(w->memory->lost, __ATOMIC_ACQUIRE));
}

static void rest(struct watch *w, int64_t until, int64_t every_ns, int64_t limit_ns)
{
	int64_t read_at = now_ns(), beat_at = read_at - every_ns, now, step, wait;
	bool over = false;
	int ready = 0;

	while (!over && !ready) {
		now = now_ns();
		step = now - read_at < LONGEST_STEP_NS ? now - read_at : LONGEST_STEP_NS;
		read_at = now;
		if (now - beat_at >= every_ns) {
			beat_at = now;
			w->beat = (w->beat + 1) & 0x7fffffff;
			vnc_store32(w->memory->domain, &w->own[HEARTBEAT], w->beat);
		}
		over = read_lines(w, step, limit_ns) || now >= until;
		wait = beat_at + every_ns < until ? beat_at + every_ns - now : until - now;
		if (!over)
			ready = ppoll(w->fds, w->count, &(struct timespec){wait / SECOND_NS, wait % SECOND_NS}, NULL);
	}
}

static int read_fds(struct watch *w, PyObject *fds)
{
	Py_ssize_t n, count = PyTuple_GET_SIZE(fds);

	if (count > FDS_MAX) {
		PyErr_Format(PyExc_ValueError, "%zd descriptors: at most %d", count, FDS_MAX);
		return -1;
	}
	for (n = 0; n < count; n++) {
		w->fds[n] = (struct pollfd){.fd = PyObject_AsFileDescriptor(PyTuple_GET_ITEM(fds, n)),
					    .events = POLLIN};
		if (w->fds[n].fd < 0)
			return -1;
	}
	w->count = (nfds_t)count;
	return 0;
}

/* _core.Memory.watch(), see _core.pyi. */
PyObject *core_memory_watch(MemoryObject *m, PyObject *args)
{
	unsigned long long own, peer;
	double seconds, every, limit;
	struct watch w = {.memory = m};
	Py_buffer seen;
	PyObject *fds;
	int64_t until;
	int failed = -1;

	if (!PyArg_ParseTuple(args, "KKy*IO!ddd:watch", &own, &peer, &seen, &w.beat, &PyTuple_Type, &fds, &seconds,
			      &every, &limit))
		return NULL;
	if (seen.len != VNC_LINE)
		PyErr_SetString(PyExc_ValueError, "what was seen is not 64 bytes long");
	else if (!(seconds >= 0 && seconds <= SECONDS_MAX && every > 0 && every <= SECONDS_MAX && limit > 0 &&
		   limit <= SECONDS_MAX))
		PyErr_SetString(PyExc_ValueError, "a time is out of range (0 to 3600 s)");
	else if ((w.own = core_at(m, own, VNC_LINE, VNC_LINE)) && (w.peer = core_at(m, peer, VNC_LINE, VNC_LINE)))
		failed = read_fds(&w, fds);
	if (!failed)
		memcpy(w.peer_seen, seen.buf, VNC_LINE);
	PyBuffer_Release(&seen);
	if (failed)
		return NULL;
	vnc_get_words(m->domain, (uint8_t *)w.own_seen, (const uint8_t *)w.own, VNC_LINE);
	w.peer_beat = w.peer_seen[HEARTBEAT];
	m->users++; /* keeps it mapped meanwhile */
	until = now_ns() + (int64_t)(seconds * (double)SECOND_NS);
	Py_BEGIN_ALLOW_THREADS
	rest(&w, until, (int64_t)(every * (double)SECOND_NS), (int64_t)(limit * (double)SECOND_NS));
	Py_END_ALLOW_THREADS
	m->users--;
	return Py_BuildValue("IId", w.beat, w.peer_beat, (double)w.still_ns / (double)SECOND_NS);
}
