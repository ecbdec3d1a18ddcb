/* SPDX-License-Identifier: MIT */
/* _core.Pump: making and ending a pump with its thread; and the ledger of an end that has no pump. */
#include "core_pump.h"
#include <errno.h>

/* The arguments of _core.Pump, parsed. */
struct pump_args {
	MemoryObject *memory;
	PyObject *doorbell, *neighbours, *rings;
	struct core_end end;
	unsigned long long ledger, peer_epoch;
	int tx, fd, vnet, attention_fd, wait, futex, ethernet, packet_socket, sparse;
};

static int parse(PyObject *args, PyObject *kwargs, struct pump_args *a)
{
	static char *names[] = {"memory", "tx", "ring", "size", "own", "peer", "frame_max", "ledger", "fd",
				"vnet", "peer_epoch", "attention_fd", "wait", "futex", "doorbell", "ethernet",
				"packet_socket", "neighbours", "rings", "sparse", NULL};

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$pKKKKIKipKiipOppOOp:Pump", names, &Memory_Type, &a->memory,
					 &a->tx, &a->end.ring, &a->end.size, &a->end.own, &a->end.peer,
					 &a->end.frame_max, &a->ledger, &a->fd, &a->vnet, &a->peer_epoch,
					 &a->attention_fd, &a->wait, &a->futex, &a->doorbell, &a->ethernet,
					 &a->packet_socket, &a->neighbours, &a->rings, &a->sparse))
		return -1;
	if (a->neighbours != Py_None && !PyObject_TypeCheck(a->neighbours, &Neighbours_Type)) {
		PyErr_SetString(PyExc_TypeError, "neighbours must be a _core.Neighbours or None");
		return -1;
	}
	if (a->rings != Py_None && !PyObject_TypeCheck(a->rings, &Rings_Type)) {
		PyErr_SetString(PyExc_TypeError, "rings must be a _core.Rings or None");
		return -1;
	}
	if (a->doorbell == Py_None || PyObject_TypeCheck(a->doorbell, &Doorbell_Type))
		return 0;
	PyErr_SetString(PyExc_TypeError, "doorbell must be a _core.Doorbell or None");
	return -1;
}

/* Open @p, which is zeros, and start its thread. Return: 0, or -1 with an exception. */
static int open_pump(struct vnc_pump *p, const struct pump_args *a)
{
	struct vnc_producer producer;
	struct vnc_consumer consumer;
	uint64_t *ledger, *batches;

	p->kick_fd = -1;
	p->port.fd = a->fd;
	p->port.vnet = a->vnet;
	p->port.ethernet = a->ethernet;
	p->port.packet_socket = a->packet_socket;
	p->attention_fd = a->attention_fd;
	p->wait = (enum vnc_wait_mode)a->wait;
	p->yields.sparing = a->sparse;
	p->futex = a->futex;
	if (core_setup_end(a->memory, &a->end, a->tx ? &producer : NULL, a->tx ? NULL : &consumer) < 0)
		return -1;
	ledger = core_at(a->memory, a->ledger, 2 * VNC_LEDGER_SLOT_BYTES + VNC_STATS_BYTES, VNC_LINE);
	p->link.peer_epoch = core_at(a->memory, a->peer_epoch, 4, 4);
	batches = core_at(a->memory, a->end.own + VNC_LINE, 8 * VNC_BATCH_WORDS, VNC_LINE);
	if (!ledger || !p->link.peer_epoch || !batches)
		return -1;
	errno = a->tx ? vnc_tx_open(p, &producer, ledger, batches) : vnc_rx_open(p, &consumer, ledger, batches);
	if (!errno)
		errno = vnc_pump_start(p);
	if (!errno)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

static PyObject *pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct pump_args a = {.doorbell = Py_None, .neighbours = Py_None, .rings = Py_None};
	PumpObject *self;

	if (parse(args, kwargs, &a) < 0)
		return NULL;
	self = (PumpObject *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	self->pump = aligned_alloc(64, (sizeof(*self->pump) + 63) & ~(size_t)63);
	if (!self->pump) {
		Py_DECREF(self);
		return PyErr_NoMemory();
	}
	memset(self->pump, 0, sizeof(*self->pump));
	if (a.doorbell != Py_None) {
		self->doorbell = (DoorbellObject *)Py_NewRef(a.doorbell);
		self->pump->doorbell = self->doorbell->doorbell;
	}
	if (a.neighbours != Py_None) {
		self->neighbours = Py_NewRef(a.neighbours);
		self->pump->port.neighbours = &((NeighboursObject *)a.neighbours)->table;
	}
	if (a.rings != Py_None) {
		self->rings = Py_NewRef(a.rings);
		self->pump->port.rings = ((RingsObject *)a.rings)->rings;
	}
	if (open_pump(self->pump, &a) < 0) {
		Py_DECREF(self);
		return NULL;
	}
	self->memory = (MemoryObject *)Py_NewRef(a.memory);
	self->memory->users++;
	self->pump->lost = self->memory->lost;
	return (PyObject *)self;
}

static void pump_release(PumpObject *self)
{
	if (self->pump) {
		Py_BEGIN_ALLOW_THREADS
		if (self->partner)
			vnc_pump_set_partner(((PumpObject *)self->partner)->pump, NULL);
		vnc_pump_close(self->pump);
		Py_END_ALLOW_THREADS
		free(self->pump);
		self->pump = NULL;
	}
	Py_CLEAR(self->doorbell);
	Py_CLEAR(self->rings);
	Py_CLEAR(self->taps);
	Py_CLEAR(self->neighbours);
	if (self->partner)
		((PumpObject *)self->partner)->partner_of--;
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
	if (self->partner_of) {
		PyErr_SetString(PyExc_ValueError, "an rx pump is paired with this tx pump: close the rx pump first");
		return NULL;
	}
	pump_release(self);
	Py_RETURN_NONE;
}

/* _core.recover_ledger(), see _core.pyi. */
PyObject *core_recover_ledger(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"memory", "ring", "size", "ledger", NULL};
	unsigned long long ring, size, ledger;
	MemoryObject *memory;
	struct vnc_ledger l;
	uint64_t *shared;
	uint8_t *at;

	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$KKK:recover_ledger", names, &Memory_Type, &memory, &ring,
					 &size, &ledger))
		return NULL;
	if (core_check_ring(size) < 0 || !(at = core_at(memory, ring, size, VNC_LINE)) ||
	    !(shared = core_at(memory, ledger, 2 * VNC_LEDGER_SLOT_BYTES, VNC_LINE)))
		return NULL;
	vnc_ledger_open(&l, memory->domain, shared);
	vnc_tx_recover(&l, at, (uint32_t)size);
	return core_words(VNC_COHERENT, l.now, VNC_LEDGER_WORDS);
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
