/* SPDX-License-Identifier: MIT */
/* _core.Rings: what the kinds of rings have in common, between the pumps of a port and the thread that connects it. */
#include "core_rings.h"
#include "vnc_sigbus.h"

#define READ_MAX (VNC_VNET_HDR + VNC_FRAME_MAX + 1u) /* bytes that read() returns at most */

/** core_rings_new() - an object of @type, one of the kinds; the caller sets the rest. */
RingsObject *core_rings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"attention_fd", NULL};
	RingsObject *self;
	int attention_fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$i", names, &attention_fd))
		return NULL;
	self = (RingsObject *)type->tp_alloc(type, 0);
	if (self)
		self->attention_fd = attention_fd;
	return self;
}

/* Complete @self, whose rings and gates are @rings, @in and @out. */
PyObject *core_rings_ready(RingsObject *self, struct vnc_rings *rings, struct vnc_gate *in, struct vnc_gate *out)
{
	rings->attention_fd = self->attention_fd;
	self->rings = rings;
	self->in = in;
	self->out = out;
	return (PyObject *)self;
}

/* ---- the regions ---------------------------------------------------------------------------------- */

void core_rings_drop_regions(RingsObject *self)
{
	uint32_t n;

	for (n = 0; n < self->rings->regions; n++) {
		vnc_sigbus_remove(self->view[n].buf);
		PyBuffer_Release(&self->view[n]);
	}
	self->rings->regions = 0;
}

/* Take the memory of @buffer, from @offset on, as the next region.  Return: 0, or -1 with an exception. */
int core_rings_add_region(RingsObject *self, PyObject *buffer, unsigned long long offset)
{
	struct vnc_rings *r = self->rings;
	Py_buffer *view = &self->view[r->regions];
	uint32_t *lost;

	if (r->regions == VNC_RINGS_REGIONS) {
		PyErr_Format(PyExc_ValueError, "more than %u regions", VNC_RINGS_REGIONS);
		return -1;
	}
	if (PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE) < 0)
		return -1;
	if (offset > (unsigned long long)view->len) {
		PyBuffer_Release(view);
		PyErr_SetString(PyExc_ValueError, "the offset is beyond the region");
		return -1;
	}
	lost = vnc_sigbus_add(view->buf, (size_t)view->len);
	r->region[r->regions++] = (struct vnc_rings_region){(uint8_t *)view->buf + offset,
							    (uint64_t)view->len - offset, lost};
	return 0;
}

static void detach(RingsObject *self)
{
	Py_BEGIN_ALLOW_THREADS
	self->rings->ops->detach(self->rings);
	Py_END_ALLOW_THREADS
	core_rings_drop_regions(self);
}

static PyObject *rings_detach(RingsObject *self, PyObject *unused)
{
	(void)unused;
	detach(self);
	Py_RETURN_NONE;
}

static void rings_dealloc(RingsObject *self)
{
	detach(self);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

/* ---- frames for programs -------------------------------------------------------------------------- */

static PyObject *rings_read(RingsObject *self, PyObject *unused)
{
	PyObject *frame = PyBytes_FromStringAndSize(NULL, READ_MAX);
	struct iovec iov;
	ssize_t got;

	(void)unused;
	if (!frame)
		return NULL;
	iov = (struct iovec){PyBytes_AS_STRING(frame), READ_MAX};
	got = self->rings->ops->get(self->rings, &iov, 1);
	if (got < 0) {
		Py_DECREF(frame);
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	self->rings->ops->release(self->rings);
	if (self->rings->ops->notify_returned)
		self->rings->ops->notify_returned(self->rings);
	_PyBytes_Resize(&frame, got);
	return frame;
}

static PyObject *rings_write(RingsObject *self, PyObject *args)
{
	struct iovec iov;
	Py_buffer data;
	ssize_t done;

	if (!PyArg_ParseTuple(args, "y*:write", &data))
		return NULL;
	iov = (struct iovec){data.buf, (size_t)data.len};
	Py_BEGIN_ALLOW_THREADS
	done = self->rings->ops->put(self->rings, &iov, 1, NULL);
	if (done >= 0)
		self->rings->ops->notify_sent(self->rings);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&data);
	if (done < 0)
		return PyErr_SetFromErrno(PyExc_OSError);
	return PyLong_FromSsize_t(done);
}

/* ---- properties ----------------------------------------------------------------------------------- */

static PyObject *rings_fault(RingsObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(__atomic_load_n(&self->rings->fault, __ATOMIC_ACQUIRE));
}

static PyObject *rings_waiting(RingsObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(self->rings->ops->ready(self->rings));
}

static PyObject *rings_writing(RingsObject *self, void *unused)
{
	uint32_t out = __atomic_load_n(&self->out->writes, __ATOMIC_RELAXED);
	uint32_t in = __atomic_load_n(&self->in->writes, __ATOMIC_RELAXED);

	(void)unused;
	return Py_BuildValue("(II)", in & 1 ? in : 0, out & 1 ? out : 0);
}

static PyMethodDef methods[] = {
	{"detach", (PyCFunction)rings_detach, METH_NOARGS, NULL},
	{"read", (PyCFunction)rings_read, METH_NOARGS, NULL},
	{"write", (PyCFunction)rings_write, METH_VARARGS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"fault", (getter)rings_fault, NULL, NULL, NULL},
	{"waiting", (getter)rings_waiting, NULL, NULL, NULL},
	{"writing", (getter)rings_writing, NULL, NULL, NULL},
	{NULL},
};

PyTypeObject Rings_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Rings",
	.tp_basicsize = sizeof(RingsObject),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = (destructor)rings_dealloc,
	.tp_methods = methods,
	.tp_getset = properties,
};
