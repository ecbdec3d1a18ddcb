/* SPDX-License-Identifier: MIT */
/* _core.Memif: the rings of a memif, between the pumps of a port and the thread that connects it. */
#include "core_py.h"
#include "vnc_memif_attach.h"
#include "vnc_memif_io.h"
#include "vnc_sigbus.h"

#define READ_MAX (VNC_FRAME_MAX + 1u) /* bytes of a frame that read() returns at most */

static PyObject *memif_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"attention_fd", NULL};
	MemifObject *self;
	int attention_fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$i:Memif", names, &attention_fd))
		return NULL;
	self = (MemifObject *)type->tp_alloc(type, 0);
	if (self)
		self->memif.attention_fd = attention_fd;
	return (PyObject *)self;
}

/* ---- taking away ---------------------------------------------------------------------------------- */

static void release_regions(MemifObject *self)
{
	uint32_t n;

	for (n = 0; n < self->memif.regions; n++) {
		vnc_sigbus_remove(self->memif.region[n].base);
		PyBuffer_Release(&self->view[n]);
	}
	self->memif.regions = 0;
}

static void detach(MemifObject *self)
{
	Py_BEGIN_ALLOW_THREADS
	vnc_memif_detach(&self->memif);
	Py_END_ALLOW_THREADS
	release_regions(self);
}

static PyObject *memif_detach(MemifObject *self, PyObject *unused)
{
	(void)unused;
	detach(self);
	Py_RETURN_NONE;
}

static void memif_dealloc(MemifObject *self)
{
	detach(self);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

/* ---- attaching ------------------------------------------------------------------------------------ */

static int take_regions(MemifObject *self, PyObject *regions)
{
	struct vnc_memif *m = &self->memif;
	Py_ssize_t n, count = PyTuple_GET_SIZE(regions);
	Py_buffer *view;

	if (count < 1 || count > (Py_ssize_t)VNC_MEMIF_REGIONS) {
		PyErr_Format(PyExc_ValueError, "%zd regions: a memif has 1 to %u", count, VNC_MEMIF_REGIONS);
		return -1;
	}
	for (n = 0; n < count; n++) {
		view = &self->view[n];
		if (PyObject_GetBuffer(PyTuple_GET_ITEM(regions, n), view, PyBUF_WRITABLE) < 0)
			return -1;
		m->region[n] = (struct vnc_memif_region){view->buf, (uint64_t)view->len,
							 vnc_sigbus_add(view->buf, (size_t)view->len)};
		m->regions++;
	}
	return 0;
}

static PyObject *memif_attach(MemifObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"regions", "receive", "send", "notify_fd", "buffers", NULL};
	struct vnc_memif_buffers buffers = {0};
	struct vnc_memif_place from, to;
	PyObject *regions, *where;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$(III)(III)iO:attach", names, &PyTuple_Type, &regions,
					 &from.region, &from.offset, &from.log2, &to.region, &to.offset, &to.log2, &fd,
					 &where))
		return NULL;
	if (where != Py_None && !PyArg_ParseTuple(where, "III", &buffers.receive, &buffers.send, &buffers.bytes))
		return NULL;
	if (self->memif.regions) {
		PyErr_SetString(PyExc_ValueError, "attached already");
		return NULL;
	}
	if (take_regions(self, regions) == 0) {
		if (vnc_memif_attach(&self->memif, &from, &to, &buffers, fd))
			Py_RETURN_NONE;
		PyErr_SetString(PyExc_ValueError, "a ring or its buffers are not in their region, or it has no cookie");
	}
	release_regions(self);
	return NULL;
}

/* ---- frames for programs -------------------------------------------------------------------------- */

static PyObject *memif_read(MemifObject *self, PyObject *unused)
{
	PyObject *frame = PyBytes_FromStringAndSize(NULL, READ_MAX);
	struct iovec iov;
	ssize_t got;

	(void)unused;
	if (!frame)
		return NULL;
	iov = (struct iovec){PyBytes_AS_STRING(frame), READ_MAX};
	got = vnc_memif_readv(&self->memif, &iov, 1);
	if (got < 0) {
		Py_DECREF(frame);
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	vnc_memif_release(&self->memif);
	_PyBytes_Resize(&frame, got);
	return frame;
}

static PyObject *memif_write(MemifObject *self, PyObject *args)
{
	struct iovec iov;
	Py_buffer data;
	ssize_t done;

	if (!PyArg_ParseTuple(args, "y*:write", &data))
		return NULL;
	iov = (struct iovec){data.buf, (size_t)data.len};
	Py_BEGIN_ALLOW_THREADS
	done = vnc_memif_writev(&self->memif, &iov, 1, NULL);
	if (done >= 0)
		vnc_memif_notify(&self->memif);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&data);
	if (done < 0)
		return PyErr_SetFromErrno(PyExc_OSError);
	return PyLong_FromSsize_t(done);
}

/* ---- properties ----------------------------------------------------------------------------------- */

static PyObject *memif_fault(MemifObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(__atomic_load_n(&self->memif.fault, __ATOMIC_ACQUIRE));
}

static PyObject *memif_waiting(MemifObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(vnc_memif_ready(&self->memif));
}

static PyObject *memif_writing(MemifObject *self, void *unused)
{
	uint32_t writes = __atomic_load_n(&self->memif.out.writes, __ATOMIC_RELAXED);

	(void)unused;
	return PyLong_FromUnsignedLong(writes & 1 ? writes : 0);
}

static PyMethodDef methods[] = {
	{"attach", (PyCFunction)(void (*)(void))memif_attach, METH_VARARGS | METH_KEYWORDS, NULL},
	{"detach", (PyCFunction)memif_detach, METH_NOARGS, NULL},
	{"read", (PyCFunction)memif_read, METH_NOARGS, NULL},
	{"write", (PyCFunction)memif_write, METH_VARARGS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"fault", (getter)memif_fault, NULL, NULL, NULL},
	{"waiting", (getter)memif_waiting, NULL, NULL, NULL},
	{"writing", (getter)memif_writing, NULL, NULL, NULL},
	{NULL},
};

PyTypeObject Memif_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Memif",
	.tp_basicsize = sizeof(MemifObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = memif_new,
	.tp_dealloc = (destructor)memif_dealloc,
	.tp_methods = methods,
	.tp_getset = properties,
};
