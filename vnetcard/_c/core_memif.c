/* SPDX-License-Identifier: MIT */
/* _core.Memif: the rings of a memif. */
#include "core_rings.h"
#include "vnc_memif_attach.h"
#include "vnc_memif_io.h"

typedef struct {
	RingsObject base;
	struct vnc_memif memif;
} MemifObject;

/* ---- what the pumps do with them ------------------------------------------------------------------ */

static struct vnc_memif *memif_of(struct vnc_rings *r)
{
	return (struct vnc_memif *)(void *)r; /* it is the first member */
}

static bool ready(struct vnc_rings *r)
{
	return vnc_memif_ready(memif_of(r));
}

static void mask(struct vnc_rings *r, bool masked)
{
	vnc_memif_mask(memif_of(r), masked);
}

static ssize_t read_frame(struct vnc_rings *r, const struct iovec *iov, int n)
{
	return vnc_memif_readv(memif_of(r), iov, n);
}

static void give_back(struct vnc_rings *r)
{
	vnc_memif_release(memif_of(r));
}

static ssize_t write_frame(struct vnc_rings *r, const struct iovec *iov, int n, const uint32_t *lost)
{
	return vnc_memif_writev(memif_of(r), iov, n, lost);
}

static void notify_sent(struct vnc_rings *r)
{
	vnc_memif_notify(memif_of(r));
}

static void detach(struct vnc_rings *r)
{
	vnc_memif_detach(memif_of(r));
}

static const struct vnc_rings_ops memif_ops = {
	.ready = ready,
	.mask = mask,
	.get = read_frame,
	.release = give_back,
	.put = write_frame,
	.notify_sent = notify_sent,
	.detach = detach,
};

/* ---- the object ----------------------------------------------------------------------------------- */

static PyObject *memif_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	MemifObject *self = (MemifObject *)core_rings_new(type, args, kwargs);

	if (!self)
		return NULL;
	self->memif.rings.ops = &memif_ops;
	return core_rings_ready(&self->base, &self->memif.rings, &self->memif.in.gate, &self->memif.out.gate);
}

static PyObject *memif_attach(MemifObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"regions", "receive", "send", "notify_fd", "buffers", NULL};
	struct vnc_memif_buffers buffers = {0};
	struct vnc_memif_place from, to;
	PyObject *regions, *where;
	Py_ssize_t n;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$(III)(III)iO:attach", names, &PyTuple_Type, &regions,
					 &from.region, &from.offset, &from.log2, &to.region, &to.offset, &to.log2, &fd,
					 &where))
		return NULL;
	if (where != Py_None && !PyArg_ParseTuple(where, "III", &buffers.receive, &buffers.send, &buffers.bytes))
		return NULL;
	if (self->memif.rings.regions || !PyTuple_GET_SIZE(regions)) {
		PyErr_SetString(PyExc_ValueError, self->memif.rings.regions ? "attached already" : "no region");
		return NULL;
	}
	for (n = 0; n < PyTuple_GET_SIZE(regions); n++)
		if (core_rings_add_region(&self->base, PyTuple_GET_ITEM(regions, n), 0) < 0)
			goto failed;
	if (vnc_memif_attach(&self->memif, &from, &to, &buffers, fd))
		Py_RETURN_NONE;
	PyErr_SetString(PyExc_ValueError, "a ring or its buffers are not in their region, or it has no cookie");
failed:
	core_rings_drop_regions(&self->base);
	return NULL;
}

static PyMethodDef methods[] = {
	{"attach", (PyCFunction)(void (*)(void))memif_attach, METH_VARARGS | METH_KEYWORDS, NULL},
	{NULL},
};

PyTypeObject Memif_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Memif",
	.tp_basicsize = sizeof(MemifObject),
	.tp_base = &Rings_Type,
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = memif_new,
	.tp_methods = methods,
};
