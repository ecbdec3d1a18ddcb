/* SPDX-License-Identifier: MIT */
/* _core.Pump: what it tells of itself, at any time. */
#include "core_pump.h"

PyObject *core_pump_take_events(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(vnc_pump_take_events(p)) : NULL;
}

static PyObject *pump_words(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	uint64_t out[VNC_LEDGER_WORDS];

	(void)unused;
	if (!p)
		return NULL;
	if ((__atomic_load_n(&p->done, __ATOMIC_ACQUIRE) & 0xff) == VNC_HOLD)
		return core_words(VNC_COHERENT, p->ledger.now, VNC_LEDGER_WORDS); /* the handshake counts on it: not the peer's to change */
	vnc_ledger_read(p->ledger.domain, p->ledger.shared, out);
	return core_words(VNC_COHERENT, out, VNC_LEDGER_WORDS);
}

static PyObject *pump_stats(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? core_words(VNC_COHERENT, p->counted, VNC_STATS_BYTES / 8) : NULL;
}

static PyObject *pump_samples(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	uint64_t bytes[VNC_SAMPLE_BYTES / 8];
	unsigned long long at, len;
	PyObject *all, *one;
	size_t n, word;

	(void)unused;
	all = p ? PyTuple_New(VNC_SAMPLES) : NULL;
	for (n = 0; all && n < VNC_SAMPLES; n++) {
		const struct vnc_sample *sample = &p->notes.samples[n];

		at = __atomic_load_n(&sample->at_ns, __ATOMIC_ACQUIRE);
		len = __atomic_load_n(&sample->len, __ATOMIC_RELAXED);
		for (word = 0; word < VNC_SAMPLE_BYTES / 8; word++)
			bytes[word] = __atomic_load_n(&sample->bytes[word], __ATOMIC_RELAXED);
		one = Py_BuildValue("KKy#", at, len, (const char *)bytes,
				    (Py_ssize_t)(len < sizeof(bytes) ? len : sizeof(bytes)));
		if (one)
			PyTuple_SET_ITEM(all, (Py_ssize_t)n, one);
		else
			Py_CLEAR(all);
	}
	return all;
}

static PyObject *pump_refused(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(__atomic_load_n(&p->refused, __ATOMIC_ACQUIRE)) : NULL;
}

static PyObject *pump_errno(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromLong(__atomic_load_n(&p->last_errno, __ATOMIC_RELAXED)) : NULL;
}

static PyObject *pump_mode(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(__atomic_load_n(&p->done, __ATOMIC_ACQUIRE) & 0xff) : NULL;
}

PyGetSetDef core_pump_properties[] = {
	{"ledger", (getter)pump_words, NULL, NULL, NULL},
	{"stats", (getter)pump_stats, NULL, NULL, NULL},
	{"samples", (getter)pump_samples, NULL, NULL, NULL},
	{"refused", (getter)pump_refused, NULL, NULL, NULL},
	{"last_errno", (getter)pump_errno, NULL, NULL, NULL},
	{"mode", (getter)pump_mode, NULL, NULL, NULL},
	{NULL},
};
