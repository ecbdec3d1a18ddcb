/* SPDX-License-Identifier: MIT */
/* _core.Pump: its methods and properties. */
#include "core_pump.h"

/* Return: the pump, or NULL with an exception once it is closed. */
static struct vnc_pump *pump_of(PumpObject *self)
{
	if (!self->memory)
		PyErr_SetString(PyExc_ValueError, "the pump is closed");
	return self->memory ? self->pump : NULL;
}

static uint32_t mode_of(const struct vnc_pump *p)
{
	return __atomic_load_n(&p->done, __ATOMIC_ACQUIRE) & 0xff;
}

/* For methods that touch the ring or the ledger. Return: the pump, or NULL with an exception unless it is in HOLD. */
static struct vnc_pump *held(PumpObject *self)
{
	struct vnc_pump *p = pump_of(self);

	if (p && mode_of(p) != VNC_HOLD) {
		PyErr_SetString(PyExc_RuntimeError, "command the pump to HOLD first");
		return NULL;
	}
	return p;
}

/* ---- at any time ------------------------------------------------------------------------------- */

static PyObject *pump_command(PumpObject *self, PyObject *args)
{
	struct vnc_pump *p = pump_of(self);
	int command;

	if (!p || !PyArg_ParseTuple(args, "i:command", &command))
		return NULL;
	if (command != VNC_HOLD && command != VNC_RUN &&
	    !(vnc_pump_is_tx(p) && (command == VNC_DROP_LINK_DOWN || command == VNC_DROP_PEER_DEAD))) {
		PyErr_Format(PyExc_ValueError, "invalid command for this pump: %d", command);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_command(p, (enum vnc_command)command);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *pump_tap(PumpObject *self, PyObject *args)
{
	struct vnc_pump *p = pump_of(self);
	struct vnc_tap *taps[VNC_TAPS_MAX];
	Py_ssize_t n, count;
	PyObject *tuple;

	if (!p || !PyArg_ParseTuple(args, "O!:tap", &PyTuple_Type, &tuple))
		return NULL;
	count = PyTuple_GET_SIZE(tuple);
	if (count > VNC_TAPS_MAX) {
		PyErr_Format(PyExc_ValueError, "%zd taps: a pump has at most %u", count, VNC_TAPS_MAX);
		return NULL;
	}
	for (n = 0; n < count; n++) {
		PyObject *item = PyTuple_GET_ITEM(tuple, n);

		if (!PyObject_TypeCheck(item, &Tap_Type)) {
			PyErr_SetString(PyExc_TypeError, "taps must be _core.Tap");
			return NULL;
		}
		taps[n] = &((TapObject *)item)->tap;
	}
	Py_INCREF(tuple); /* and the old tuple lives until the pump no longer uses its taps */
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_set_taps(p, taps, (uint32_t)count);
	Py_END_ALLOW_THREADS
	Py_XSETREF(self->taps, tuple);
	Py_RETURN_NONE;
}

static PyObject *pump_reset_high_water(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	if (!p)
		return NULL;
	__atomic_store_n(&p->stats.reset_high_water, 1, __ATOMIC_RELAXED);
	Py_RETURN_NONE;
}

static PyObject *pump_take_events(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(vnc_pump_take_events(p)) : NULL;
}

/* ---- in HOLD ----------------------------------------------------------------------------------- */

static PyObject *pump_pair_with(PumpObject *self, PyObject *other)
{
	struct vnc_pump *p = held(self), *tx;

	if (!p)
		return NULL;
	if (!PyObject_TypeCheck(other, &Pump_Type)) {
		PyErr_SetString(PyExc_TypeError, "pair_with() takes a _core.Pump");
		return NULL;
	}
	tx = pump_of((PumpObject *)other);
	if (!tx)
		return NULL;
	if (vnc_pump_is_tx(p) || !vnc_pump_is_tx(tx)) {
		PyErr_SetString(PyExc_ValueError, "an rx pump is paired with a tx pump");
		return NULL;
	}
	if (self->partner || ((PumpObject *)other)->partner_of) {
		PyErr_SetString(PyExc_ValueError, "one of the two pumps is paired already");
		return NULL;
	}
	self->partner = Py_NewRef(other);
	((PumpObject *)other)->partner_of++;
	p->partner = tx;
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_set_partner(tx, p);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *pump_interrupts(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"irq_fd", "fd", "at", "value", NULL};
	struct vnc_irq_trigger peer = {.fd = -1, .at = -1};
	struct vnc_pump *p = held(self);
	long long at = -1;
	int irq_fd = -1;

	if (!p || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$iiLI:interrupts", names, &irq_fd, &peer.fd, &at,
					       &peer.value))
		return NULL;
	peer.at = at;
	p->irq_fd = irq_fd;
	p->peer_irq = peer;
	Py_RETURN_NONE;
}

static PyObject *pump_reset(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = held(self);

	(void)unused;
	if (!p)
		return NULL;
	(vnc_pump_is_tx(p) ? vnc_tx_reset : vnc_rx_reset)(p, 0);
	Py_RETURN_NONE;
}

static PyObject *pump_begin(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"own_epoch", "peer_epoch", "features", "packet_max", "serial", NULL};
	struct vnc_pump *p = held(self);
	struct vnc_agreement with;
	unsigned long long serial;
	uint32_t frame_max;

	if (!p || !PyArg_ParseTupleAndKeywords(args, kwargs, "$IIIIK:begin", names, &with.own_epoch, &with.peer_epoch,
					       &with.features, &with.packet_max, &serial))
		return NULL;
	with.serial = serial;
	frame_max = with.packet_max + (with.features & VNC_F_CSUM ? VNC_VNET_HDR : 0);
	if (with.packet_max < 1 || frame_max > VNC_FRAME_MAX ||
	    vnc_record_bytes(frame_max) > (vnc_pump_is_tx(p) ? p->producer.size : p->consumer.size)) {
		PyErr_Format(PyExc_ValueError, "packets of %u bytes do not fit the ring", with.packet_max);
		return NULL;
	}
	(vnc_pump_is_tx(p) ? vnc_tx_begin : vnc_rx_begin)(p, &with);
	Py_RETURN_NONE;
}

static PyObject *pump_settle(PumpObject *self, PyObject *args)
{
	struct vnc_pump *p = held(self);
	unsigned long long lost;

	if (!p || !PyArg_ParseTuple(args, "K:settle", &lost))
		return NULL;
	if (!vnc_pump_is_tx(p)) {
		PyErr_SetString(PyExc_RuntimeError, "only a tx pump has records in flight");
		return NULL;
	}
	p->ledger.now[VNC_TX_LOST_RESTART] += lost;
	p->ledger.now[VNC_LEDGER_GENERATION] = 0;
	p->ledger.now[VNC_LEDGER_GEN_RECORDS] = 0;
	vnc_ledger_flip(&p->ledger);
	Py_RETURN_NONE;
}

static PyObject *pump_filter(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	struct vnc_pump *p = held(self);

	return p ? core_pump_filter(p, args, kwargs) : NULL;
}

static PyObject *pump_punt(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	struct vnc_pump *p = held(self);

	return p ? core_pump_punt(p, args, kwargs) : NULL;
}

/* Return: how often the counters in the window were restored. */
static PyObject *pump_check_counters(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = pump_of(self);
	uint32_t restored;

	(void)unused;
	if (!p)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	restored = vnc_pump_check_counters(p);
	Py_END_ALLOW_THREADS
	return PyLong_FromUnsignedLong(restored);
}

PyMethodDef core_pump_methods[] = {
	{"check_counters", (PyCFunction)pump_check_counters, METH_NOARGS, NULL},
	{"command", (PyCFunction)pump_command, METH_VARARGS, NULL},
	{"tap", (PyCFunction)pump_tap, METH_VARARGS, NULL},
	{"reset_high_water", (PyCFunction)pump_reset_high_water, METH_NOARGS, NULL},
	{"take_events", (PyCFunction)pump_take_events, METH_NOARGS, NULL},
	{"pair_with", (PyCFunction)pump_pair_with, METH_O, NULL},
	{"interrupts", (PyCFunction)(void (*)(void))pump_interrupts, METH_VARARGS | METH_KEYWORDS, NULL},
	{"reset", (PyCFunction)pump_reset, METH_NOARGS, NULL},
	{"begin", (PyCFunction)(void (*)(void))pump_begin, METH_VARARGS | METH_KEYWORDS, NULL},
	{"filter", (PyCFunction)(void (*)(void))pump_filter, METH_VARARGS | METH_KEYWORDS, NULL},
	{"punt", (PyCFunction)(void (*)(void))pump_punt, METH_VARARGS | METH_KEYWORDS, NULL},
	{"settle", (PyCFunction)pump_settle, METH_VARARGS, NULL},
	{"close", (PyCFunction)core_pump_close, METH_NOARGS, NULL},
	{NULL},
};

/* ---- properties -------------------------------------------------------------------------------- */

static PyObject *pump_ledger(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	uint64_t out[VNC_LEDGER_WORDS];

	(void)unused;
	if (!p)
		return NULL;
	if (mode_of(p) == VNC_HOLD) /* the handshake relies on it, so not what the peer may have overwritten */
		return core_words(VNC_COHERENT, p->ledger.now, VNC_LEDGER_WORDS);
	vnc_ledger_read(p->ledger.domain, p->ledger.shared, out);
	return core_words(VNC_COHERENT, out, VNC_LEDGER_WORDS);
}

static PyObject *pump_stats(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? core_words(VNC_COHERENT, p->stats.now, VNC_STATS_WORDS) : NULL;
}

/* Return: (at_ns, len, bytes). */
static PyObject *sample_tuple(const struct vnc_sample *sample)
{
	unsigned long long at = __atomic_load_n(&sample->at_ns, __ATOMIC_ACQUIRE);
	unsigned long long len = __atomic_load_n(&sample->len, __ATOMIC_RELAXED);
	uint64_t bytes[VNC_SAMPLE_BYTES / 8];
	size_t n;

	for (n = 0; n < VNC_SAMPLE_BYTES / 8; n++)
		bytes[n] = __atomic_load_n(&sample->bytes[n], __ATOMIC_RELAXED);
	return Py_BuildValue("KKy#", at, len, (const char *)bytes,
			     (Py_ssize_t)(len < sizeof(bytes) ? len : sizeof(bytes)));
}

static PyObject *pump_samples(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	PyObject *all = p ? PyTuple_New(VNC_SAMPLES) : NULL;
	PyObject *one;
	Py_ssize_t n;

	(void)unused;
	for (n = 0; all && n < VNC_SAMPLES; n++) {
		one = sample_tuple(&p->stats.samples[n]);
		if (one)
			PyTuple_SET_ITEM(all, n, one);
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

static PyObject *pump_segments(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(__atomic_load_n(&p->segments_max, __ATOMIC_RELAXED)) : NULL;
}

static int pump_set_segments(PumpObject *self, PyObject *value, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	unsigned long most;

	(void)unused;
	if (!p)
		return -1;
	most = value ? PyLong_AsUnsignedLong(value) : 0;
	if (PyErr_Occurred())
		return -1;
	if (!most || most > VNC_FRAME_MAX) {
		PyErr_SetString(PyExc_ValueError, "segments_max is out of range");
		return -1;
	}
	__atomic_store_n(&p->segments_max, (uint32_t)most, __ATOMIC_RELAXED);
	return 0;
}

static PyObject *pump_merge(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyLong_FromUnsignedLong(__atomic_load_n(&p->merge, __ATOMIC_RELAXED)) : NULL;
}

static int pump_set_merge(PumpObject *self, PyObject *value, void *unused)
{
	struct vnc_pump *p = pump_of(self);
	unsigned long merge;

	(void)unused;
	if (!p)
		return -1;
	merge = value ? PyLong_AsUnsignedLong(value) : 0;
	if (PyErr_Occurred())
		return -1;
	if (merge & ~(unsigned long)(VNC_MERGE_UDP | VNC_MERGE_TCP4 | VNC_MERGE_TCP6)) {
		PyErr_SetString(PyExc_ValueError, "merge has unknown bits");
		return -1;
	}
	__atomic_store_n(&p->merge, (uint32_t)merge, __ATOMIC_RELAXED);
	return 0;
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
	return p ? PyLong_FromUnsignedLong(mode_of(p)) : NULL;
}

static PyObject *pump_restarted(PumpObject *self, void *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	return p ? PyBool_FromLong(p->restarted) : NULL;
}

PyGetSetDef core_pump_properties[] = {
	{"restarted", (getter)pump_restarted, NULL, NULL, NULL},
	{"ledger", (getter)pump_ledger, NULL, NULL, NULL},
	{"stats", (getter)pump_stats, NULL, NULL, NULL},
	{"samples", (getter)pump_samples, NULL, NULL, NULL},
	{"refused", (getter)pump_refused, NULL, NULL, NULL},
	{"segments_max", (getter)pump_segments, (setter)pump_set_segments, NULL, NULL},
	{"merge", (getter)pump_merge, (setter)pump_set_merge, NULL, NULL},
	{"last_errno", (getter)pump_errno, NULL, NULL, NULL},
	{"mode", (getter)pump_mode, NULL, NULL, NULL},
	{NULL},
};
