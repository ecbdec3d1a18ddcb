/* SPDX-License-Identifier: MIT */
/* _core.Tap: the ring of events that a pump writes for one reader. */
#include "core_py.h"

/* @bytes at @offset of the buffer; NULL with an exception unless they are in it, aligned to a line. */
static void *at(const TapObject *self, unsigned long long offset, unsigned long long bytes)
{
	unsigned long long size = (unsigned long long)self->view.len;

	if (offset % VNC_LINE == 0 && bytes <= size && offset <= size - bytes)
		return (uint8_t *)self->view.buf + offset;
	PyErr_SetString(PyExc_ValueError, "the offset is outside the buffer, or not a multiple of 64");
	return NULL;
}

static PyObject *tap_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"buffer", "ring",     "size", "own",    "reader", "stages",
				"bytes_of", "snap", "sample", "queue", NULL};
	unsigned long long ring, size, own, reader;
	unsigned int stages, bytes_of, snap, sample, queue;
	TapObject *self = (TapObject *)type->tp_alloc(type, 0);
	struct vnc_tap *t;

	if (!self)
		return NULL;
	t = &self->tap;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "w*$KKKKIIIII:Tap", names, &self->view, &ring, &size, &own,
					 &reader, &stages, &bytes_of, &snap, &sample, &queue))
		goto failed;
	if (size < VNC_LINE || size & (size - 1) || size > UINT32_MAX || !sample) {
		PyErr_SetString(PyExc_ValueError, "size must be a power of two, and sample at least 1");
		goto failed;
	}
	t->size = (uint32_t)size;
	t->stages = stages;
	t->bytes_of = bytes_of;
	t->snap = snap;
	t->sample = sample;
	t->queue = (uint16_t)queue;
	t->ring = at(self, ring, size);
	t->own = t->ring ? at(self, own, sizeof(*t->own)) : NULL;
	t->reader = t->own ? at(self, reader, sizeof(*t->reader)) : NULL;
	if (t->reader)
		return (PyObject *)self;
failed:
	Py_DECREF(self);
	return NULL;
}

static void tap_dealloc(TapObject *self)
{
	PyBuffer_Release(&self->view); /* does nothing without a buffer */
	Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject Tap_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Tap",
	.tp_basicsize = sizeof(TapObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = tap_new,
	.tp_dealloc = (destructor)tap_dealloc,
};
