/* SPDX-License-Identifier: MIT */
/* _core.Pump: a pump thread for Python to command. */
#include "core_py.h"
#include <errno.h>
#include <sys/eventfd.h>

typedef struct {
	PyObject_HEAD
	MemoryObject *memory;
	DoorbellObject *doorbell; /* NULL: none */
	PyObject *answers;        /* rx: the tx pump that it may run; NULL: none */
	int lent;                 /* tx: to how many rx pumps, which must be closed first */
	PyObject *taps;           /* a tuple of Tap, which the pump uses; NULL: none */
	struct vnc_pump *pump;
} PumpObject;

static struct vnc_pump *pump_of(PumpObject *self)
{
	if (!self->memory)
		PyErr_SetString(PyExc_ValueError, "the pump is closed");
	return self->memory ? self->pump : NULL;
}

/* Go on with what an earlier owner noted. */
static void open_notes(struct vnc_pump *p)
{
	size_t n;

	for (n = 0; n < VNC_BATCH_WORDS; n++)
		p->notes.counted[n] = vnc_get64(vnc_pump_domain(p), &p->notes.batches[n]);
	p->notes.records = p->ledger.now[p->tx ? VNC_TX_TX_SENT : VNC_RX_RX_RECEIVED];
	p->notes.busy_ns = p->counted[p->tx ? VNC_TXSTAT_BUSY_NS : VNC_RXSTAT_BUSY_NS];
	p->notes.high_water = p->tx ? 0 : p->counted[VNC_RXSTAT_HIGH_WATER];
}

static PyObject *pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"memory", "tx",     "ring",       "size",         "own",  "peer",  "frame_max", "ledger",
				"fd",     "vnet",   "peer_epoch", "attention_fd", "wait", "futex", "doorbell",
				NULL};
	unsigned long long ledger, peer_epoch;
	int tx, fd, vnet, attention, wait, futex, failed;
	PyObject *doorbell = Py_None;
	struct core_end where;
	MemoryObject *memory;
	PumpObject *self;
	struct vnc_pump *p;
	size_t n;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$pKKKKIKipKiipO:Pump", names, &Memory_Type, &memory, &tx,
					 &where.ring, &where.size, &where.own, &where.peer, &where.frame_max, &ledger,
					 &fd, &vnet, &peer_epoch, &attention, &wait, &futex, &doorbell))
		return NULL;
	if (doorbell != Py_None && !PyObject_TypeCheck(doorbell, &Doorbell_Type)) {
		PyErr_SetString(PyExc_TypeError, "doorbell is a _core.Doorbell or None");
		return NULL;
	}
	self = (PumpObject *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	p = self->pump = aligned_alloc(64, (sizeof(*p) + 63) & ~(size_t)63);
	if (!p) {
		Py_DECREF(self);
		return PyErr_NoMemory();
	}
	memset(p, 0, sizeof(*p));
	p->tx = tx;
	p->port.fd = fd;
	p->port.vnet = vnet;
	p->attention_fd = attention;
	p->wait = (enum vnc_wait_mode)wait;
	p->futex = futex;
	p->kick_fd = p->ear_fd = p->bell.fd = -1;
	if (doorbell != Py_None) {
		self->doorbell = (DoorbellObject *)Py_NewRef(doorbell);
		p->doorbell = self->doorbell->bell;
	}
	failed = core_setup_end(memory, &where, tx ? &p->producer : NULL, tx ? NULL : &p->consumer);
	if (!failed) {
		p->ledger.shared = core_at(memory, ledger, 2 * VNC_LEDGER_SLOT_BYTES + VNC_STATS_BYTES, VNC_LINE);
		p->link.peer_epoch = core_at(memory, peer_epoch, 4, 4);
		p->notes.batches = core_at(memory, where.own + VNC_LINE, 8 * VNC_BATCH_WORDS, VNC_LINE);
		failed = !p->ledger.shared || !p->link.peer_epoch || !p->notes.batches;
	}
	if (!failed) {
		p->stats = p->ledger.shared + 2 * VNC_LEDGER_WORDS;
		for (n = 0; n < VNC_STATS_BYTES / 8; n++)
			p->counted[n] = vnc_get64(memory->domain, &p->stats[n]);
		if (tx)
			vnc_tx_recover(p);
		else
			vnc_ledger_open(&p->ledger, vnc_pump_domain(p), p->ledger.shared);
		open_notes(p);
		p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		errno = p->kick_fd < 0 ? errno : vnc_pump_start(p);
		if (!p->started) {
			PyErr_SetFromErrno(PyExc_OSError);
			failed = 1;
		}
	}
	if (failed) {
		Py_DECREF(self);
		return NULL;
	}
	Py_INCREF(memory);
	self->memory = memory;
	memory->users++;
	return (PyObject *)self;
}

static void pump_release(PumpObject *self)
{
	if (self->pump) {
		Py_BEGIN_ALLOW_THREADS
		vnc_pump_stop(self->pump);
		Py_END_ALLOW_THREADS
		if (self->pump->kick_fd >= 0)
			close(self->pump->kick_fd);
		free(self->pump);
		self->pump = NULL;
	}
	Py_CLEAR(self->doorbell);
	Py_CLEAR(self->taps);
	if (self->answers)
		((PumpObject *)self->answers)->lent--;
	Py_CLEAR(self->answers);
	if (self->memory) {
		self->memory->users--;
		Py_CLEAR(self->memory);
	}
}

static void pump_dealloc(PumpObject *self)
{
	pump_release(self);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *pump_close(PumpObject *self, PyObject *unused)
{
	(void)unused;
	if (self->lent) {
		PyErr_SetString(PyExc_ValueError, "an rx pump may be at this one's work: close that first");
		return NULL;
	}
	pump_release(self);
	Py_RETURN_NONE;
}

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

static PyObject *pump_answer_by(PumpObject *self, PyObject *other)
{
	struct vnc_pump *p = held(self), *tx = NULL;

	if (!p)
		return NULL;
	if (!PyObject_TypeCheck(other, &Pump_Type)) {
		PyErr_SetString(PyExc_TypeError, "answer_by() takes a _core.Pump");
		return NULL;
	}
	tx = pump_of((PumpObject *)other);
	if (!tx)
		return NULL;
	if (p->tx || !tx->tx) {
		PyErr_SetString(PyExc_ValueError, "an rx pump is answered by a tx pump");
		return NULL;
	}
	if (self->answers) {
		PyErr_SetString(PyExc_ValueError, "this pump has one that answers");
		return NULL;
	}
	self->answers = Py_NewRef(other);
	((PumpObject *)other)->lent++;
	p->answers = tx;
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
	static char *names[] = {"ear_fd", "fd", "at", "value", NULL};
	struct vnc_bell bell = {.fd = -1, .at = -1};
	struct vnc_pump *p = held(self);
	long long at = -1;
	int ear = -1;

	if (!p || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$iiLI:bells", names, &ear, &bell.fd, &at, &bell.value))
		return NULL;
	bell.at = at;
	p->ear_fd = ear;
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
	p->link.belled = (features & VNC_F_BELL) && p->ear_fd >= 0 && p->bell.fd >= 0;
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

static PyObject *pump_take_events(PumpObject *self, PyObject *unused)
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

static PyMethodDef methods[] = {
	{"command", (PyCFunction)pump_command, METH_VARARGS, NULL},
	{"answer_by", (PyCFunction)pump_answer_by, METH_O, NULL},
	{"reset", (PyCFunction)pump_reset, METH_NOARGS, NULL},
	{"tap", (PyCFunction)pump_tap, METH_VARARGS, NULL},
	{"bells", (PyCFunction)(void (*)(void))pump_bells, METH_VARARGS | METH_KEYWORDS, NULL},
	{"begin", (PyCFunction)(void (*)(void))pump_begin, METH_VARARGS | METH_KEYWORDS, NULL},
	{"settle", (PyCFunction)pump_settle, METH_VARARGS, NULL},
	{"take_events", (PyCFunction)pump_take_events, METH_NOARGS, NULL},
	{"forget", (PyCFunction)pump_forget, METH_NOARGS, NULL},
	{"close", (PyCFunction)pump_close, METH_NOARGS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"ledger", (getter)pump_words, NULL, NULL, NULL},  {"stats", (getter)pump_stats, NULL, NULL, NULL},
	{"samples", (getter)pump_samples, NULL, NULL, NULL}, {"refused", (getter)pump_refused, NULL, NULL, NULL}, {"last_errno", (getter)pump_errno, NULL, NULL, NULL},
	{"mode", (getter)pump_mode, NULL, NULL, NULL},	 {NULL},
};

PyTypeObject Pump_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Pump",
	.tp_basicsize = sizeof(PumpObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = pump_new,
	.tp_dealloc = (destructor)pump_dealloc,
	.tp_methods = methods,
	.tp_getset = properties,
};
