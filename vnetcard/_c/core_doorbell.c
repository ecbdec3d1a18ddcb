/* SPDX-License-Identifier: MIT */
/* _core.Doorbell: a register that Python and the pumps ring; called with the value. */
#include "core_py.h"
#include <fcntl.h>

/* The word at @offset, NULL for None; -1 with an exception when it is no place in @m. */
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
	static char *names[] = {"memory", "word", "rung", "bell", "asleep", NULL};
	PyObject *rung = Py_None, *bell = Py_None, *asleep = Py_None;
	struct vnc_doorbell d = {.word = NULL};
	unsigned long long word;
	DoorbellObject *self;
	MemoryObject *memory;
	uint32_t *sleeper;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!K|$OOO:Doorbell", names, &Memory_Type, &memory, &word, &rung,
					 &bell, &asleep))
		return NULL;
	d.domain = memory->domain;
	d.word = core_at(memory, word, 4, 4);
	if (!d.word || optional_word(memory, rung, &d.rung) < 0 || optional_word(memory, bell, &d.bell) < 0 ||
	    optional_word(memory, asleep, &sleeper) < 0)
		return NULL;
	d.asleep = sleeper;
	if (!d.bell != !d.asleep) {
		PyErr_SetString(PyExc_ValueError, "bell and asleep come together");
		return NULL;
	}
	self = (DoorbellObject *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	self->bell = d;
	self->memory = (MemoryObject *)Py_NewRef(memory);
	memory->users++;
	return (PyObject *)self;
}

/* Doorbell.in_file(fd, at): of a descriptor of its own, so that whatever becomes of the caller's, no other file is hit. */
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
	self->bell = d;
	return (PyObject *)self;
}

static void doorbell_release(DoorbellObject *self)
{
	if (self->bell.in_file) {
		Py_BEGIN_ALLOW_THREADS /* a driver may take its time */
		close(self->bell.fd);
		Py_END_ALLOW_THREADS
	}
	self->bell.in_file = false;
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
			PyErr_SetString(PyExc_TypeError, "a doorbell takes a value and nothing else");
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS /* a driver may take its time */
	vnc_ring_doorbell(&self->bell, value);
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
