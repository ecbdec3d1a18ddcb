/* SPDX-License-Identifier: MIT */
/* _core.Doorbell: a register that Python and the pumps write; it is called with the value. */
#include "core_py.h"
#include <fcntl.h>

/* The word at @offset in @m, NULL for None. Return: 0, or -1 with an exception. */
static int optional_word(MemoryObject *m, PyObject *offset, uint32_t **word)
{
	unsigned long long at;

	*word = NULL;
	if (offset == Py_None)
		return 0;
	at = PyLong_AsUnsignedLongLong(offset);
	if (PyErr_Occurred())
		return -1;
	*word = core_at(m, at, 4, 4);
	return *word ? 0 : -1;
}

static PyObject *doorbell_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"memory", "register", "count_word", "wake_word", "sleep_word", NULL};
	PyObject *count = Py_None, *wake = Py_None, *sleep = Py_None;
	struct vnc_doorbell d = {.reg = NULL};
	unsigned long long reg;
	DoorbellObject *self;
	MemoryObject *memory;
	uint32_t *sleep_word;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!K|$OOO:Doorbell", names, &Memory_Type, &memory, &reg, &count,
					 &wake, &sleep))
		return NULL;
	d.domain = memory->domain;
	d.reg = core_at(memory, reg, 4, 4);
	if (!d.reg || optional_word(memory, count, &d.count_word) < 0 ||
	    optional_word(memory, wake, &d.wake_word) < 0 || optional_word(memory, sleep, &sleep_word) < 0)
		return NULL;
	d.sleep_word = sleep_word;
	if (!d.wake_word != !d.sleep_word) {
		PyErr_SetString(PyExc_ValueError, "wake_word and sleep_word: give both or neither");
		return NULL;
	}
	self = (DoorbellObject *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	self->doorbell = d;
	self->memory = (MemoryObject *)Py_NewRef(memory);
	memory->users++;
	return (PyObject *)self;
}

/* Doorbell.in_file(fd, at).  It duplicates the descriptor: if the caller closes its own, and the number is used again,
 * no other file is written. */
static PyObject *doorbell_in_file(PyObject *cls, PyObject *args)
{
	struct vnc_doorbell d = {.in_file = true};
	DoorbellObject *self;
	long long at;
	int fd;

	if (!PyArg_ParseTuple(args, "iL:in_file", &fd, &at))
		return NULL;
	d.at = at;
	d.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (d.fd < 0)
		return PyErr_SetFromErrno(PyExc_OSError);
	self = (DoorbellObject *)((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 0);
	if (!self) {
		close(d.fd);
		return NULL;
	}
	self->doorbell = d;
	return (PyObject *)self;
}

static void doorbell_release(DoorbellObject *self)
{
	if (self->doorbell.in_file) {
		Py_BEGIN_ALLOW_THREADS /* a driver may block */
		close(self->doorbell.fd);
		Py_END_ALLOW_THREADS
	}
	self->doorbell.in_file = false;
	if (self->memory) {
		self->memory->users--;
		Py_CLEAR(self->memory);
	}
}

static void doorbell_dealloc(DoorbellObject *self)
{
	doorbell_release(self);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *doorbell_call(DoorbellObject *self, PyObject *args, PyObject *kwargs)
{
	unsigned int value;

	if ((kwargs && PyDict_GET_SIZE(kwargs)) || !PyArg_ParseTuple(args, "I:Doorbell", &value)) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_TypeError, "a doorbell takes one argument, the value");
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS /* a driver may block */
	vnc_ring_doorbell(&self->doorbell, value);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyMethodDef doorbell_methods[] = {
	{"in_file", doorbell_in_file, METH_VARARGS | METH_CLASS, NULL},
	{NULL, NULL, 0, NULL},
};

PyTypeObject Doorbell_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Doorbell",
	.tp_basicsize = sizeof(DoorbellObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = doorbell_new,
	.tp_dealloc = (destructor)doorbell_dealloc,
	.tp_methods = doorbell_methods,
	.tp_call = (ternaryfunc)doorbell_call,
};
