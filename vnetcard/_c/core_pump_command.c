/* SPDX-License-Identifier: MIT */
/* _core.Pump: what Python has it do, and what it may do only while the pump is held. */
#include "core_pump.h"

static PyObject *pump_command(PumpObject *self, PyObject *args)
{
	struct vnc_pump *p = pump_of(self);
	int command;

	if (!p || !PyArg_ParseTuple(args, "i:command", &command))
		return NULL;
	if (command < VNC_HOLD || command > VNC_RUN || (!p->tx && command != VNC_HOLD && command != VNC_RUN)) {
		PyErr_Format(PyExc_ValueError, "no such command for this pump: %d", command);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_command(p, (enum vnc_command)command);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

/* Everything below that touches the ring or the ledger wants the pump in HOLD. */
static struct vnc_pump *held(PumpObject *self)
{
	struct vnc_pump *p = pump_of(self);

	if (p && (__atomic_load_n(&p->done, __ATOMIC_ACQUIRE) & 0xff) != VNC_HOLD) {
		PyErr_SetString(PyExc_RuntimeError, "command the pump to HOLD first");
		return NULL;
	}
	return p;
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
		PyErr_Format(PyExc_ValueError, "a pump has at most %u taps", VNC_TAPS_MAX);
		return NULL;
	}
	for (n = 0; n < count; n++) {
		PyObject *item = PyTuple_GET_ITEM(tuple, n);

		if (!PyObject_TypeCheck(item, &Tap_Type)) {
			PyErr_SetString(PyExc_TypeError, "taps are _core.Tap");
			return NULL;
		}
		taps[n] = &((TapObject *)item)->tap;
	}
	Py_INCREF(tuple); /* and the old ones stay until the pump has let go of them */
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_tap(p, taps, (uint32_t)count);
	Py_END_ALLOW_THREADS
	Py_XSETREF(self->taps, tuple);
	Py_RETURN_NONE;
}

static PyObject *pump_pair_with(PumpObject *self, PyObject *other)
{
	struct vnc_pump *p = held(self), *tx = NULL;

	if (!p)
		return NULL;
	if (!PyObject_TypeCheck(other, &Pump_Type)) {
		PyErr_SetString(PyExc_TypeError, "pair_with() takes a _core.Pump");
		return NULL;
	}
	tx = pump_of((PumpObject *)other);
	if (!tx)
		return NULL;
	if (p->tx || !tx->tx) {
		PyErr_SetString(PyExc_ValueError, "an rx pump is paired with a tx pump");
		return NULL;
	}
	if (self->partner || ((PumpObject *)other)->lent) {
		PyErr_SetString(PyExc_ValueError, "one of the two is paired already");
		return NULL;
	}
	self->partner = Py_NewRef(other);
	((PumpObject *)other)->lent++;
	p->other = tx;
	Py_BEGIN_ALLOW_THREADS
	vnc_pump_pair(tx, p);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *pump_reset(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = held(self);

	(void)unused;
	if (!p)
		return NULL;
	p->armed = false;
	if (p->tx)
		vnc_producer_reset(&p->producer, 0);
	else
		vnc_consumer_reset(&p->consumer, 0);
	Py_RETURN_NONE;
}

static PyObject *pump_bells(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"irq_fd", "fd", "at", "value", NULL};
	struct vnc_irq_trigger bell = {.fd = -1, .at = -1};
	struct vnc_pump *p = held(self);
	long long at = -1;
	int ear = -1;

	if (!p || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$iiLI:interrupts", names, &ear, &bell.fd, &at, &bell.value))
		return NULL;
	bell.at = at;
	p->irq_fd = ear;
	p->bell = bell;
	Py_RETURN_NONE;
}

static PyObject *pump_begin(PumpObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"own_epoch", "peer_epoch", "features", "packet_max", "serial", NULL};
	unsigned int own, peer, features, packet_max, frame_max;
	struct vnc_pump *p = held(self);
	unsigned long long serial;

	if (!p || !PyArg_ParseTupleAndKeywords(args, kwargs, "$IIIIK:begin", names, &own, &peer, &features, &packet_max,
					       &serial))
		return NULL;
	frame_max = packet_max + (features & VNC_F_CSUM ? VNC_VNET_HDR : 0);
	if (packet_max < 1 || frame_max > VNC_FRAME_MAX ||
	    vnc_record_bytes(frame_max) > (p->tx ? p->producer.size : p->consumer.size)) {
		PyErr_Format(PyExc_ValueError, "packets of %u bytes do not fit the ring", packet_max);
		return NULL;
	}
	p->link.epoch = peer;
	p->link.features = features;
	p->link.unwoken = !(features & VNC_F_WAKE) && !vnc_has_doorbell(&p->doorbell); /* with an engine it is the engine that wakes */
	p->link.belled = (features & VNC_F_IRQ) && p->irq_fd >= 0 && p->bell.fd >= 0;
	p->link.packet_max = packet_max;
	if (p->tx)
		p->producer.frame_max = frame_max;
	else
		p->consumer.frame_max = frame_max;
	__atomic_store_n(&p->refused, 0, __ATOMIC_RELAXED);
	p->link.generation = (uint64_t)own << 32 | peer;
	p->link.serial = serial;
	/* What the pump met in the generation before says nothing about this one. */
	__atomic_fetch_and(&p->events, ~(VNC_EVENT_EPOCH | VNC_EVENT_VIOLATION), __ATOMIC_RELAXED);
	if (p->tx) {
		p->ledger.now[VNC_LEDGER_GENERATION] = p->link.generation;
		p->ledger.now[VNC_LEDGER_GEN_RECORDS] = 0;
		p->ledger.now[VNC_LEDGER_INDEX] = 0;
		vnc_ledger_flip(&p->ledger);
	} /* rx: by the first record, see vnc_rx.c */
	Py_RETURN_NONE;
}

static PyObject *pump_settle(PumpObject *self, PyObject *args)
{
	struct vnc_pump *p = held(self);
	unsigned long long lost;

	if (!p || !PyArg_ParseTuple(args, "K:settle", &lost))
		return NULL;
	if (!p->tx) {
		PyErr_SetString(PyExc_RuntimeError, "only a tx pump has records in flight");
		return NULL;
	}
	p->ledger.now[VNC_TX_LOST_RESTART] += lost;
	p->ledger.now[VNC_LEDGER_GENERATION] = 0;
	p->ledger.now[VNC_LEDGER_GEN_RECORDS] = 0;
	vnc_ledger_flip(&p->ledger);
	Py_RETURN_NONE;
}

static PyObject *pump_forget(PumpObject *self, PyObject *unused)
{
	struct vnc_pump *p = pump_of(self);

	(void)unused;
	if (!p)
		return NULL;
	__atomic_store_n(&p->notes.forget, 1, __ATOMIC_RELAXED);
	Py_RETURN_NONE;
}

PyMethodDef core_pump_methods[] = {
	{"command", (PyCFunction)pump_command, METH_VARARGS, NULL},
	{"pair_with", (PyCFunction)pump_pair_with, METH_O, NULL},
	{"reset", (PyCFunction)pump_reset, METH_NOARGS, NULL},
	{"tap", (PyCFunction)pump_tap, METH_VARARGS, NULL},
	{"interrupts", (PyCFunction)(void (*)(void))pump_bells, METH_VARARGS | METH_KEYWORDS, NULL},
	{"begin", (PyCFunction)(void (*)(void))pump_begin, METH_VARARGS | METH_KEYWORDS, NULL},
	{"settle", (PyCFunction)pump_settle, METH_VARARGS, NULL},
	{"take_events", (PyCFunction)core_pump_take_events, METH_NOARGS, NULL},
	{"forget", (PyCFunction)pump_forget, METH_NOARGS, NULL},
	{"close", (PyCFunction)core_pump_close, METH_NOARGS, NULL},
	{NULL},
};
