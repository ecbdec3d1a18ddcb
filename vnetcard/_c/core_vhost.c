/* SPDX-License-Identifier: MIT */
/* _core.Vhost: the queues of a virtio network device. */
#include "core_rings.h"
#include "vnc_vhost_attach.h"
#include "vnc_vhost_io.h"

_Static_assert(VNC_VHOST_HEADER == VNC_VNET_HDR, "the pumps' virtio_net_hdr");

typedef struct {
	RingsObject base;
	struct vnc_vhost vhost;
} VhostObject;

/* ---- what the pumps do with them ------------------------------------------------------------------ */

static struct vnc_vhost *vhost_of(struct vnc_rings *r)
{
	return (struct vnc_vhost *)(void *)r; /* it is the first member */
}

static bool ready(struct vnc_rings *r)
{
	return vnc_vhost_ready(vhost_of(r));
}

static void mask(struct vnc_rings *r, bool masked)
{
	vnc_vhost_mask(vhost_of(r), masked);
}

static ssize_t read_frame(struct vnc_rings *r, const struct iovec *iov, int n)
{
	return vnc_vhost_readv(vhost_of(r), iov, n);
}

static void give_back(struct vnc_rings *r)
{
	vnc_vhost_release(vhost_of(r));
}

static ssize_t write_frame(struct vnc_rings *r, const struct iovec *iov, int n, const uint32_t *lost)
{
	return vnc_vhost_writev(vhost_of(r), iov, n, lost);
}

static void notify_sent(struct vnc_rings *r)
{
	vnc_vhost_notify(vhost_of(r), &vhost_of(r)->out);
}

static void notify_returned(struct vnc_rings *r)
{
	vnc_vhost_notify(vhost_of(r), &vhost_of(r)->in);
}

static void detach(struct vnc_rings *r)
{
	vnc_vhost_detach(vhost_of(r));
}

static const struct vnc_rings_ops vhost_ops = {
	.ready = ready,
	.mask = mask,
	.get = read_frame,
	.release = give_back,
	.put = write_frame,
	.notify_sent = notify_sent,
	.notify_returned = notify_returned,
	.detach = detach,
};

/* ---- the object ----------------------------------------------------------------------------------- */

static PyObject *vhost_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	VhostObject *self = (VhostObject *)core_rings_new(type, args, kwargs);

	if (!self)
		return NULL;
	self->vhost.rings.ops = &vhost_ops;
	return core_rings_ready(&self->base, &self->vhost.rings, &self->vhost.in.gate, &self->vhost.out.gate);
}

/* Take @regions: tuples of a buffer, where in it the region starts, its guest address, its user address (to @user). */
static int add_regions(VhostObject *self, PyObject *regions, uint64_t *user)
{
	unsigned long long offset, guest, theirs;
	Py_ssize_t n;
	PyObject *buffer;

	for (n = 0; n < PyTuple_GET_SIZE(regions); n++) {
		if (!PyArg_ParseTuple(PyTuple_GET_ITEM(regions, n), "OKKK", &buffer, &offset, &guest, &theirs) ||
		    core_rings_add_region(&self->base, buffer, offset) < 0)
			return -1;
		self->vhost.guest[n] = guest;
		user[n] = theirs;
	}
	return 0;
}

static PyObject *vhost_attach(VhostObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"regions", "transmit", "receive", "header", "mergeable", "indirect", "event_idx",
				"polled", NULL};
	unsigned long long desc[2], avail[2], used[2];
	struct vnc_vhost_queue queue[2];
	uint64_t user[VNC_RINGS_REGIONS];
	struct vnc_vhost *v = &self->vhost;
	int mergeable, indirect, event_idx, polled, n;
	unsigned int header;
	PyObject *regions;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$(IKKKi)(IKKKi)Ipppp:attach", names, &PyTuple_Type, &regions,
					 &queue[0].size, &desc[0], &avail[0], &used[0], &queue[0].fd, &queue[1].size,
					 &desc[1], &avail[1], &used[1], &queue[1].fd, &header, &mergeable, &indirect,
					 &event_idx, &polled))
		return NULL;
	if (v->rings.regions || header < VNC_VHOST_HEADER || header > VNC_VHOST_HEADER_MAX) {
		PyErr_SetString(PyExc_ValueError, v->rings.regions ? "attached already" : "header must be 10 to 12");
		return NULL;
	}
	for (n = 0; n < 2; n++) {
		queue[n].desc = desc[n];
		queue[n].avail = avail[n];
		queue[n].used = used[n];
	}
	v->header = header;
	v->mergeable = mergeable;
	v->indirect = indirect;
	v->event_idx = event_idx;
	__atomic_store_n(&v->rings.poll_ms, polled ? 1 : 0, __ATOMIC_RELAXED);
	if (add_regions(self, regions, user) == 0) {
		if (vnc_vhost_attach(v, user, &queue[0], &queue[1])) {
			__atomic_store_n(&v->paused, 0, __ATOMIC_RELEASE);
			Py_RETURN_NONE;
		}
		PyErr_SetString(PyExc_ValueError, "a queue is not within a region, not aligned, or of a wrong size");
	}
	core_rings_drop_regions(&self->base);
	return NULL;
}

static PyObject *vhost_pause(VhostObject *self, PyObject *args)
{
	int paused;

	if (!PyArg_ParseTuple(args, "p:pause", &paused))
		return NULL;
	__atomic_store_n(&self->vhost.paused, paused, __ATOMIC_RELEASE);
	Py_RETURN_NONE;
}

static PyObject *vhost_call(VhostObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"transmit", "receive", NULL};
	int transmit, receive;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$ii:call", names, &transmit, &receive))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	vnc_vhost_set_call(&self->vhost.in, transmit);
	vnc_vhost_set_call(&self->vhost.out, receive);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *vhost_positions(VhostObject *self, void *unused)
{
	(void)unused;
	return Py_BuildValue("(II)", self->vhost.in.at, self->vhost.out.at);
}

static PyMethodDef methods[] = {
	{"attach", (PyCFunction)(void (*)(void))vhost_attach, METH_VARARGS | METH_KEYWORDS, NULL},
	{"pause", (PyCFunction)vhost_pause, METH_VARARGS, NULL},
	{"call", (PyCFunction)(void (*)(void))vhost_call, METH_VARARGS | METH_KEYWORDS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"positions", (getter)vhost_positions, NULL, NULL, NULL},
	{NULL},
};

PyTypeObject Vhost_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Vhost",
	.tp_basicsize = sizeof(VhostObject),
	.tp_base = &Rings_Type,
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = vhost_new,
	.tp_methods = methods,
	.tp_getset = properties,
};
