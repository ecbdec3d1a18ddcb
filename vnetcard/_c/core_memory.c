/* SPDX-License-Identifier: MIT */
/* _core.Memory: access to a window with bounds checks and barriers. */
#include "core_py.h"
#include "vnc_sigbus.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The address of @bytes at @offset, a multiple of @align, in the window; or NULL with an exception. */
void *core_at(MemoryObject *m, unsigned long long offset, unsigned long long bytes, unsigned int align)
{
	unsigned long long size = m->open ? (unsigned long long)m->view.len : 0;

	if (!m->open) {
		PyErr_SetString(PyExc_ValueError, "the window is closed");
		return NULL;
	}
	if (offset > size || bytes > size - offset) {
		PyErr_Format(PyExc_IndexError, "%llu bytes at offset %llu are outside the window of %llu bytes", bytes,
			     offset, size);
		return NULL;
	}
	if (offset % align) {
		PyErr_Format(PyExc_ValueError, "offset %llu is not a multiple of %u", offset, align);
		return NULL;
	}
	return m->base + offset;
}

PyObject *core_words(enum vnc_domain domain, const uint64_t *words, Py_ssize_t count)
{
	PyObject *out = PyTuple_New(count);
	PyObject *word;
	Py_ssize_t n;

	for (n = 0; out && n < count; n++) {
		word = PyLong_FromUnsignedLongLong(vnc_get64(domain, &words[n]));
		if (!word) {
			Py_CLEAR(out);
			break;
		}
		PyTuple_SET_ITEM(out, n, word);
	}
	return out;
}

static PyObject *memory_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"buffer", "device", "check", NULL};
	PyObject *buffer, *check = Py_None;
	unsigned long long seed = 0;
	int device = 0;
	MemoryObject *m;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$pO:Memory", names, &buffer, &device, &check))
		return NULL;
	if (check != Py_None) {
		seed = PyLong_AsUnsignedLongLong(check);
		if (PyErr_Occurred())
			return NULL;
		if (!VNC_CHECKED_WINDOWS) {
			PyErr_SetString(PyExc_NotImplementedError,
					"this build has no checked memory: build the core with VNETCARD_CHECKED=1");
			return NULL;
		}
	}
	m = (MemoryObject *)type->tp_alloc(type, 0);
	if (!m)
		return NULL;
	if (PyObject_GetBuffer(buffer, &m->view, PyBUF_WRITABLE) < 0) {
		Py_DECREF(m);
		return NULL;
	}
	m->open = true;
	m->domain = device ? VNC_DEVICE : VNC_COHERENT;
	if ((uintptr_t)m->view.buf % VNC_LINE) {
		PyErr_SetString(PyExc_ValueError, "the buffer does not start at a multiple of 64");
		Py_DECREF(m);
		return NULL;
	}
	if (check == Py_None) {
		m->base = m->view.buf;
		m->lost = vnc_sigbus_add(m->base, (size_t)m->view.len); /* a device may go, a file be cut short */
		if (device)
			m->lost = NULL; /* its words show that it is gone */
		return (PyObject *)m;
	}
	m->domain = VNC_CHECKED;
	m->base = VNC_CHECKED_WINDOWS ? vnc_checked_open(m->view.buf, (size_t)m->view.len, seed) : NULL;
	if (!m->base) {
		Py_DECREF(m);
		return PyErr_NoMemory();
	}
	return (PyObject *)m;
}

static void memory_release(MemoryObject *m)
{
	if (!m->open)
		return;
	m->open = false;
	m->lost = NULL;
	if (VNC_IS_CHECKED(m->domain))
		vnc_checked_close(m->base);
	else
		vnc_sigbus_remove(m->base);
	PyBuffer_Release(&m->view);
}

static void memory_dealloc(MemoryObject *m)
{
	memory_release(m);
	Py_TYPE(m)->tp_free((PyObject *)m);
}

static PyObject *memory_close(MemoryObject *m, PyObject *unused)
{
	(void)unused;
	if (m->users) {
		PyErr_Format(PyExc_BufferError, "%zd FIFO ends, pumps or doorbells still use the window", m->users);
		return NULL;
	}
	memory_release(m);
	Py_RETURN_NONE;
}

static PyObject *memory_load32(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	uint32_t *at;

	if (!PyArg_ParseTuple(args, "K:load32", &offset) || !(at = core_at(m, offset, 4, 4)))
		return NULL;
	return PyLong_FromUnsignedLong(vnc_load32(m->domain, at));
}

static PyObject *memory_store32(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	unsigned int value;
	uint32_t *at;

	if (!PyArg_ParseTuple(args, "KI:store32", &offset, &value) || !(at = core_at(m, offset, 4, 4)))
		return NULL;
	vnc_store32(m->domain, at, value);
	Py_RETURN_NONE;
}

static PyObject *memory_wait32(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	unsigned int seen;
	double seconds;
	uint32_t *at;

	if (!PyArg_ParseTuple(args, "KId:wait32", &offset, &seen, &seconds) || !(at = core_at(m, offset, 4, 4)))
		return NULL;
	if (!(seconds >= 0 && seconds <= 3600)) {
		PyErr_SetString(PyExc_ValueError, "seconds is out of range (0 to 3600)");
		return NULL;
	}
	m->users++; /* keeps it mapped during the wait */
	Py_BEGIN_ALLOW_THREADS
	vnc_futex_wait(at, seen, (long)(seconds * 1e9));
	Py_END_ALLOW_THREADS
	m->users--;
	Py_RETURN_NONE;
}

static PyObject *memory_wake32(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	uint32_t *at;

	if (!PyArg_ParseTuple(args, "K:wake32", &offset) || !(at = core_at(m, offset, 4, 4)))
		return NULL;
	vnc_futex_wake(at);
	Py_RETURN_NONE;
}

static PyObject *memory_load64(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	uint64_t *at;

	if (!PyArg_ParseTuple(args, "K:load64", &offset) || !(at = core_at(m, offset, 8, 8)))
		return NULL;
	return PyLong_FromUnsignedLongLong(vnc_load64(m->domain, at));
}

static PyObject *memory_store64(MemoryObject *m, PyObject *args)
{
	unsigned long long offset, value;
	uint64_t *at;

	if (!PyArg_ParseTuple(args, "KK:store64", &offset, &value) || !(at = core_at(m, offset, 8, 8)))
		return NULL;
	vnc_store64(m->domain, at, value);
	Py_RETURN_NONE;
}

static PyObject *memory_read(MemoryObject *m, PyObject *args)
{
	unsigned long long offset, bytes;
	PyObject *out;
	uint8_t *at;

	if (!PyArg_ParseTuple(args, "KK:read", &offset, &bytes) || !(at = core_at(m, offset, bytes, 8)))
		return NULL;
	out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
	if (out)
		vnc_get_words(m->domain, (uint8_t *)PyBytes_AS_STRING(out), at, (uint32_t)bytes);
	return out;
}

static PyObject *memory_write(MemoryObject *m, PyObject *args)
{
	unsigned long long offset;
	Py_buffer data;
	uint8_t *at;

	if (!PyArg_ParseTuple(args, "Ky*:write", &offset, &data))
		return NULL;
	if (data.len % 8)
		PyErr_SetString(PyExc_ValueError, "the data is not a multiple of 8 bytes long");
	else if ((at = core_at(m, offset, (unsigned long long)data.len, 8))) {
		vnc_put_words(m->domain, at, data.buf, (uint32_t)data.len);
		vnc_wmb(m->domain); /* the next store may be far off, and combining buffers wait for it */
	}
	PyBuffer_Release(&data);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *memory_words(MemoryObject *m, PyObject *args)
{
	unsigned long long offset, count;
	uint64_t *at;

	if (!PyArg_ParseTuple(args, "KK:words", &offset, &count))
		return NULL;
	if (count > (1u << 20)) {
		PyErr_SetString(PyExc_ValueError, "count is out of range (0 to 1048576)");
		return NULL;
	}
	at = core_at(m, offset, count * 8, 8);
	return at ? core_words(m->domain, at, (Py_ssize_t)count) : NULL;
}

static PyObject *memory_ledger(MemoryObject *m, PyObject *args)
{
	uint64_t out[VNC_LEDGER_WORDS];
	unsigned long long offset;
	uint64_t *at;

	if (!PyArg_ParseTuple(args, "K:ledger", &offset) || !(at = core_at(m, offset, 2 * VNC_LEDGER_SLOT_BYTES, 8)))
		return NULL;
	vnc_ledger_read(m->domain, at, out);
	return core_words(VNC_COHERENT, out, VNC_LEDGER_WORDS);
}

/* Return: whether a reader of the ledger gets zeros, because both slots were overwritten. */
static PyObject *memory_ledger_ruined(MemoryObject *m, PyObject *args)
{
	uint64_t out[VNC_LEDGER_WORDS];
	unsigned long long offset;
	uint64_t *at;

	if (!PyArg_ParseTuple(args, "K:ledger_ruined", &offset) ||
	    !(at = core_at(m, offset, 2 * VNC_LEDGER_SLOT_BYTES, 8)))
		return NULL;
	return PyBool_FromLong(vnc_ledger_read(m->domain, at, out) == VNC_LEDGER_RUINED);
}

static PyObject *memory_loads(MemoryObject *m, PyObject *args)
{
	unsigned long long offset, bytes;

	if (!PyArg_ParseTuple(args, "KK:loads", &offset, &bytes) || !core_at(m, offset, bytes, 1))
		return NULL;
	if (!VNC_IS_CHECKED(m->domain)) {
		PyErr_SetString(PyExc_ValueError, "only checked memory counts loads");
		return NULL;
	}
	return PyLong_FromUnsignedLongLong(vnc_checked_loads(m->base, (size_t)offset, (size_t)bytes));
}

static PyObject *memory_size(MemoryObject *m, void *unused)
{
	(void)unused;
	return PyLong_FromSsize_t(m->open ? m->view.len : 0);
}

static PyObject *memory_lost(MemoryObject *m, void *unused)
{
	(void)unused;
	return PyBool_FromLong(m->lost && __atomic_load_n(m->lost, __ATOMIC_ACQUIRE));
}

/* _core.allocate(), see _core.pyi. */
PyObject *core_allocate(PyObject *module, PyObject *args)
{
	long long bytes;
	int fd, failed;

	(void)module;
	if (!PyArg_ParseTuple(args, "iL:allocate", &fd, &bytes))
		return NULL;
	do {
		Py_BEGIN_ALLOW_THREADS
		failed = fallocate(fd, 0, 0, (off_t)bytes) < 0 ? errno : 0;
		Py_END_ALLOW_THREADS
		if (failed == EINTR && PyErr_CheckSignals() < 0)
			return NULL;
	} while (failed == EINTR);
	if (failed && failed != EOPNOTSUPP) {
		errno = failed;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return PyBool_FromLong(!failed);
}

PyObject *core_map_over(PyObject *module, PyObject *args)
{
	unsigned long long at, bytes, offset;
	long page = sysconf(_SC_PAGESIZE);
	Py_buffer whole;
	void *part;
	int fd;

	(void)module;
	if (!PyArg_ParseTuple(args, "w*KKiK:map_over", &whole, &at, &bytes, &fd, &offset))
		return NULL;
	if (at > (unsigned long long)whole.len || bytes > (unsigned long long)whole.len - at ||
	    ((uintptr_t)whole.buf | at | bytes) % (unsigned long long)page) {
		PyBuffer_Release(&whole);
		PyErr_SetString(PyExc_ValueError, "the part is not whole pages of the mapping");
		return NULL;
	}
	part = (uint8_t *)whole.buf + at;
	part = mmap(part, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
	PyBuffer_Release(&whole);
	if (part == MAP_FAILED)
		return PyErr_SetFromErrno(PyExc_OSError);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"close", (PyCFunction)memory_close, METH_NOARGS, NULL},
	{"load32", (PyCFunction)memory_load32, METH_VARARGS, NULL},
	{"store32", (PyCFunction)memory_store32, METH_VARARGS, NULL},
	{"wait32", (PyCFunction)memory_wait32, METH_VARARGS, NULL},
	{"wake32", (PyCFunction)memory_wake32, METH_VARARGS, NULL},
	{"load64", (PyCFunction)memory_load64, METH_VARARGS, NULL},
	{"store64", (PyCFunction)memory_store64, METH_VARARGS, NULL},
	{"read", (PyCFunction)memory_read, METH_VARARGS, NULL},
	{"write", (PyCFunction)memory_write, METH_VARARGS, NULL},
	{"words", (PyCFunction)memory_words, METH_VARARGS, NULL},
	{"ledger", (PyCFunction)memory_ledger, METH_VARARGS, NULL},
	{"ledger_ruined", (PyCFunction)memory_ledger_ruined, METH_VARARGS, NULL},
	{"loads", (PyCFunction)memory_loads, METH_VARARGS, NULL},
	{"watch", (PyCFunction)core_memory_watch, METH_VARARGS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"size", (getter)memory_size, NULL, NULL, NULL},
	{"lost", (getter)memory_lost, NULL, NULL, NULL},
	{NULL},
};

PyTypeObject Memory_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Memory",
	.tp_basicsize = sizeof(MemoryObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = memory_new,
	.tp_dealloc = (destructor)memory_dealloc,
	.tp_methods = methods,
	.tp_getset = properties,
};
