/* SPDX-License-Identifier: MIT */
/* _core.Pump: a pump thread for Python to command; its making and its end. */
#include "core_pump.h"
#include <errno.h>
#include <sys/eventfd.h>

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
	p->kick_fd = p->irq_fd = p->bell.fd = -1;
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
		if (self->partner)
			vnc_pump_pair(((PumpObject *)self->partner)->pump, NULL);
		vnc_pump_stop(self->pump);
		Py_END_ALLOW_THREADS
		if (self->pump->kick_fd >= 0)
			close(self->pump->kick_fd);
		free(self->pump);
		self->pump = NULL;
	}
	Py_CLEAR(self->doorbell);
	Py_CLEAR(self->taps);
	if (self->partner)
		((PumpObject *)self->partner)->lent--;
	Py_CLEAR(self->partner);
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

PyObject *core_pump_close(PumpObject *self, PyObject *unused)
{
	(void)unused;
	if (self->lent) {
		PyErr_SetString(PyExc_ValueError, "an rx pump is paired with this one: close that first");
		return NULL;
	}
	pump_release(self);
	Py_RETURN_NONE;
}

PyTypeObject Pump_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Pump",
	.tp_basicsize = sizeof(PumpObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = pump_new,
	.tp_dealloc = (destructor)pump_dealloc,
	.tp_methods = core_pump_methods,
	.tp_getset = core_pump_properties,
};
