/* SPDX-License-Identifier: MIT */
/* _core.Producer and _core.Consumer: the two ends of a ring for Python, each with its own mutex. */
#include "core_py.h"

static PyObject *Corrupt; /* FifoCorrupt's base in the core; vnetcard.errors gives it its public name */

typedef struct {
	PyObject_HEAD
	MemoryObject *memory;
	pthread_mutex_t lock;
	union {
		struct vnc_producer producer;
		struct vnc_consumer consumer;
	};
} EndObject;

static const char *const RESULTS[] = {
	[VNC_BAD_INDEX] = "the peer's index left the ring, went back or is not a multiple of 64",
	[VNC_BAD_LEN] = "a record's length is 0 or above what is allowed or published",
	[VNC_BAD_HEADER] = "a record's flags, hdr_len or crc32c are not of this format",
	[VNC_BAD_SEQ] = "a record is missing or occurs twice",
};

static PyObject *corrupt(enum vnc_ring_result got)
{
	PyErr_SetString(Corrupt, RESULTS[got]);
	return NULL;
}

static PyObject *end_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"memory", "ring", "size", "own", "peer", "frame_max", NULL};
	struct core_end where = {.frame_max = 0};
	MemoryObject *memory;
	EndObject *end;
	bool tx = type == &Producer_Type;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$KKKKI:end", names, &Memory_Type, &memory, &where.ring,
					 &where.size, &where.own, &where.peer, &where.frame_max))
		return NULL;
	end = (EndObject *)type->tp_alloc(type, 0);
	if (!end)
		return NULL;
	pthread_mutex_init(&end->lock, NULL);
	if (core_setup_end(memory, &where, tx ? &end->producer : NULL, tx ? NULL : &end->consumer) < 0) {
		Py_DECREF(end);
		return NULL;
	}
	Py_INCREF(memory);
	end->memory = memory;
	memory->users++;
	return (PyObject *)end;
}

static void end_release(EndObject *end)
{
	if (end->memory) {
		end->memory->users--;
		Py_CLEAR(end->memory);
	}
}

static void end_dealloc(EndObject *end)
{
	end_release(end);
	pthread_mutex_destroy(&end->lock);
	Py_TYPE(end)->tp_free((PyObject *)end);
}

static PyObject *end_close(EndObject *end, PyObject *unused)
{
	(void)unused;
	end_release(end);
	Py_RETURN_NONE;
}

/* Lock the end; without the GIL if another thread holds it. Return: true, or false with an exception when closed. */
static bool enter(EndObject *end)
{
	if (pthread_mutex_trylock(&end->lock)) {
		Py_BEGIN_ALLOW_THREADS
		pthread_mutex_lock(&end->lock);
		Py_END_ALLOW_THREADS
	}
	if (end->memory) {
		vnc_rmb(end->memory->domain); /* another thread may have read newer words before */
		return true;
	}
	pthread_mutex_unlock(&end->lock);
	PyErr_SetString(PyExc_ValueError, "the FIFO end is closed");
	return false;
}

static void leave(EndObject *end)
{
	pthread_mutex_unlock(&end->lock);
}

/* Commit one packet. Return: VNC_OK, VNC_FULL, or an error. */
static enum vnc_ring_result push_one(struct vnc_producer *p, const Py_buffer *data, unsigned int hdr_len)
{
	enum vnc_ring_result got;
	struct vnc_span span[2];

	if (data->len < 1 || (size_t)data->len > p->frame_max)
		return VNC_BAD_LEN;
	got = vnc_ring_reserve(p, (uint32_t)data->len, span);
	if (got != VNC_OK)
		return got;
	vnc_ring_write(p, span, data->buf, (uint32_t)data->len);
	vnc_ring_commit(p, (uint32_t)data->len, hdr_len ? VNC_REC_VNET : 0, (uint16_t)hdr_len);
	return VNC_OK;
}

static void publish_and_wake(struct vnc_producer *p)
{
	if (vnc_producer_publish(p) && p->domain == VNC_COHERENT && vnc_consumer_sleeps(p))
		vnc_futex_wake(&p->own->prod);
}

static PyObject *push_error(struct vnc_producer *p, enum vnc_ring_result got, Py_ssize_t len)
{
	if (got != VNC_BAD_LEN)
		return corrupt(got);
	PyErr_Format(PyExc_ValueError, "packet of %zd bytes: it must have from 1 to %u", len, p->frame_max);
	return NULL;
}

static PyObject *producer_try_push(EndObject *end, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"packet", "hdr_len", NULL};
	enum vnc_ring_result got;
	unsigned int hdr_len = 0;
	PyObject *out = NULL;
	Py_buffer data;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|$I:try_push", names, &data, &hdr_len))
		return NULL;
	if (hdr_len != 0 && hdr_len != VNC_VNET_HDR) {
		PyErr_Format(PyExc_ValueError, "hdr_len %u: it must be 0 or %u", hdr_len, VNC_VNET_HDR);
	} else if (enter(end)) {
		got = push_one(&end->producer, &data, hdr_len);
		if (got == VNC_OK)
			publish_and_wake(&end->producer);
		if (got == VNC_OK || got == VNC_FULL)
			out = PyBool_FromLong(got == VNC_OK);
		else
			push_error(&end->producer, got, data.len);
		leave(end);
	}
	PyBuffer_Release(&data);
	return out;
}

static PyObject *producer_push_batch(EndObject *end, PyObject *packets)
{
	PyObject *fast = PySequence_Fast(packets, "push_batch takes a sequence of packets");
	enum vnc_ring_result got = VNC_OK;
	Py_ssize_t n = 0, count;
	PyObject *out = NULL;
	Py_buffer data;

	if (!fast)
		return NULL;
	count = PySequence_Fast_GET_SIZE(fast);
	if (!enter(end)) {
		Py_DECREF(fast);
		return NULL;
	}
	while (n < count) {
		if (PyObject_GetBuffer(PySequence_Fast_GET_ITEM(fast, n), &data, PyBUF_SIMPLE) < 0)
			break;
		got = push_one(&end->producer, &data, 0);
		if (got != VNC_OK && got != VNC_FULL && n == 0) /* else the next call finds it again */
			push_error(&end->producer, got, data.len);
		PyBuffer_Release(&data);
		if (got != VNC_OK)
			break;
		n++;
	}
	publish_and_wake(&end->producer); /* what was committed, even if the next packet failed */
	if (!PyErr_Occurred())
		out = PyLong_FromSsize_t(n);
	leave(end);
	Py_DECREF(fast);
	return out;
}

static PyObject *pop_one(struct vnc_consumer *c, bool refresh, enum vnc_ring_result *got)
{
	struct vnc_view view;
	PyObject *out;

	*got = vnc_ring_peek(c, &view);
	if (*got == VNC_EMPTY && refresh) {
		*got = vnc_consumer_refresh(c);
		if (*got == VNC_OK)
			*got = vnc_ring_peek(c, &view);
	}
	if (*got != VNC_OK)
		return NULL;
	out = PyBytes_FromStringAndSize(NULL, view.len);
	if (!out)
		return NULL;
	vnc_ring_read(c, &view, (uint8_t *)PyBytes_AS_STRING(out));
	vnc_ring_release(c, view.len);
	return out;
}

static void give_back_and_wake(struct vnc_consumer *c)
{
	if (vnc_consumer_publish(c) && c->domain == VNC_COHERENT && vnc_producer_sleeps(c))
		vnc_futex_wake(&c->own->cons);
}

static PyObject *consumer_try_pop(EndObject *end, PyObject *unused)
{
	enum vnc_ring_result got;
	PyObject *out;

	(void)unused;
	if (!enter(end))
		return NULL;
	out = pop_one(&end->consumer, true, &got);
	if (out)
		give_back_and_wake(&end->consumer);
	else if (got == VNC_EMPTY)
		out = Py_NewRef(Py_None);
	else if (got != VNC_OK)
		corrupt(got);
	leave(end);
	return out;
}

static PyObject *consumer_pop_batch(EndObject *end, PyObject *args)
{
	enum vnc_ring_result got = VNC_OK;
	Py_ssize_t most = 64;
	PyObject *out, *packet;

	if (!PyArg_ParseTuple(args, "|n:pop_batch", &most))
		return NULL;
	if (!enter(end))
		return NULL;
	out = PyList_New(0);
	while (out && PyList_GET_SIZE(out) < most) {
		packet = pop_one(&end->consumer, true, &got);
		if (!packet)
			break;
		if (PyList_Append(out, packet) < 0)
			Py_CLEAR(out);
		Py_DECREF(packet);
	}
	give_back_and_wake(&end->consumer);
	/* The records before a bad one are returned; the next call finds the bad one again. */
	if (out && PyList_GET_SIZE(out) == 0 && got != VNC_OK && got != VNC_EMPTY) {
		Py_CLEAR(out);
		corrupt(got);
	}
	if (PyErr_Occurred())
		Py_CLEAR(out);
	leave(end);
	return out;
}

static PyObject *producer_reset(EndObject *end, PyObject *args)
{
	unsigned int index = 0;

	if (!PyArg_ParseTuple(args, "|I:reset", &index) || !enter(end))
		return NULL;
	vnc_producer_reset(&end->producer, index & ~(VNC_LINE - 1));
	leave(end);
	Py_RETURN_NONE;
}

static PyObject *consumer_reset(EndObject *end, PyObject *args)
{
	unsigned int index = 0;

	if (!PyArg_ParseTuple(args, "|I:reset", &index) || !enter(end))
		return NULL;
	vnc_consumer_reset(&end->consumer, index & ~(VNC_LINE - 1));
	leave(end);
	Py_RETURN_NONE;
}

static PyObject *producer_fill(EndObject *end, void *unused)
{
	enum vnc_ring_result got;
	uint32_t fill;

	(void)unused;
	if (!enter(end))
		return NULL;
	got = vnc_producer_refresh(&end->producer);
	fill = end->producer.prod - end->producer.cons;
	leave(end);
	return got == VNC_OK ? PyLong_FromUnsignedLong(fill) : corrupt(got);
}

static PyObject *consumer_fill(EndObject *end, void *unused)
{
	enum vnc_ring_result got;
	uint32_t fill;

	(void)unused;
	if (!enter(end))
		return NULL;
	got = vnc_consumer_refresh(&end->consumer);
	fill = end->consumer.prod - end->consumer.cons;
	leave(end);
	return got == VNC_BAD_INDEX ? corrupt(got) : PyLong_FromUnsignedLong(fill);
}

static PyMethodDef producer_methods[] = {
	{"try_push", (PyCFunction)(void (*)(void))producer_try_push, METH_VARARGS | METH_KEYWORDS, NULL},
	{"push_batch", (PyCFunction)producer_push_batch, METH_O, NULL},
	{"reset", (PyCFunction)producer_reset, METH_VARARGS, NULL},
	{"close", (PyCFunction)end_close, METH_NOARGS, NULL},
	{NULL},
};
static PyMethodDef consumer_methods[] = {
	{"try_pop", (PyCFunction)consumer_try_pop, METH_NOARGS, NULL},
	{"pop_batch", (PyCFunction)consumer_pop_batch, METH_VARARGS, NULL},
	{"reset", (PyCFunction)consumer_reset, METH_VARARGS, NULL},
	{"close", (PyCFunction)end_close, METH_NOARGS, NULL},
	{NULL},
};
static PyGetSetDef producer_properties[] = {{"fill", (getter)producer_fill, NULL, NULL, NULL}, {NULL}};
static PyGetSetDef consumer_properties[] = {{"fill", (getter)consumer_fill, NULL, NULL, NULL}, {NULL}};

PyTypeObject Producer_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Producer",
	.tp_basicsize = sizeof(EndObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = end_new,
	.tp_dealloc = (destructor)end_dealloc,
	.tp_methods = producer_methods,
	.tp_getset = producer_properties,
};
PyTypeObject Consumer_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Consumer",
	.tp_basicsize = sizeof(EndObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = end_new,
	.tp_dealloc = (destructor)end_dealloc,
	.tp_methods = consumer_methods,
	.tp_getset = consumer_properties,
};

int core_ready_fifo(PyObject *module)
{
	Corrupt = PyErr_NewException("vnetcard._core.Corrupt", NULL, NULL);
	return Corrupt ? PyModule_AddObjectRef(module, "Corrupt", Corrupt) : -1;
}
