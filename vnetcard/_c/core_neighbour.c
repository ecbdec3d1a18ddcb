/* SPDX-License-Identifier: MIT */
/* _core.Neighbours: the table of MAC addresses that the rx pumps of a port share, for the resolver in Python. */
#include "core_py.h"

/* Return: the address in @size bytes at @text, or one of version 0 with an exception. */
static struct vnc_ip address_of(const char *text, Py_ssize_t size)
{
	struct vnc_ip ip = {.version = size == 4 ? 4 : 6};

	if (size != 4 && size != 16) {
		PyErr_SetString(PyExc_ValueError, "an address has 4 or 16 bytes");
		return (struct vnc_ip){.version = 0};
	}
	memcpy(ip.word, text, (size_t)size);
	return ip;
}

static PyObject *neighbours_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"resolver_fd", NULL};
	NeighboursObject *self;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$i:Neighbours", names, &fd))
		return NULL;
	self = (NeighboursObject *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	self->table.resolver_fd = fd;
	pthread_mutex_init(&self->table.lock, NULL);
	return (PyObject *)self;
}

static void neighbours_dealloc(NeighboursObject *self)
{
	pthread_mutex_destroy(&self->table.lock);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The networks of the sequence @items. Return: how many, or -1 with an exception. */
static int parse_networks(struct vnc_network *network, PyObject *items)
{
	PyObject *all = PySequence_Tuple(items);
	Py_ssize_t n, count = all ? PyTuple_GET_SIZE(all) : 0;
	int failed = all ? 0 : -1;

	if (count > VNC_CONNECTED_MAX) {
		PyErr_Format(PyExc_ValueError, "more than %u networks", VNC_CONNECTED_MAX);
		failed = -1;
	}
	for (n = 0; !failed && n < count; n++)
		failed = core_network(&network[n], PyTuple_GET_ITEM(all, n));
	Py_XDECREF(all);
	return failed ? -1 : (int)count;
}

/* The addresses of the sequence @items, by version. Return: 0, or -1 with an exception. */
static int parse_gateways(struct vnc_ip gateway[2], PyObject *items)
{
	PyObject *all = PySequence_Tuple(items);
	struct vnc_ip ip = {.version = 4};
	Py_ssize_t n, size;
	char *text;

	for (n = 0; all && ip.version && n < PyTuple_GET_SIZE(all); n++) {
		ip.version = 0;
		if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(all, n), &text, &size) < 0)
			break;
		ip = address_of(text, size);
		gateway[ip.version == 6] = ip;
	}
	Py_XDECREF(all);
	return all && ip.version ? 0 : -1;
}

static PyObject *neighbours_configure(NeighboursObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"connected", "gateways", NULL};
	struct vnc_network network[VNC_CONNECTED_MAX];
	struct vnc_ip gateway[2] = {0};
	PyObject *connected, *gateways;
	int count;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OO:configure", names, &connected, &gateways))
		return NULL;
	count = parse_networks(network, connected);
	if (count < 0 || parse_gateways(gateway, gateways) < 0)
		return NULL;
	pthread_mutex_lock(&self->table.lock);
	memcpy(self->table.network, network, (size_t)count * sizeof(*network));
	memcpy(self->table.gateway, gateway, sizeof(gateway));
	self->table.connected = (uint32_t)count;
	pthread_mutex_unlock(&self->table.lock);
	Py_RETURN_NONE;
}

static PyObject *neighbours_set_mac(NeighboursObject *self, PyObject *args)
{
	const char *mac;
	Py_ssize_t size;

	if (!PyArg_ParseTuple(args, "y#:set_mac", &mac, &size))
		return NULL;
	if (size != VNC_MAC) {
		PyErr_SetString(PyExc_ValueError, "a MAC address has 6 bytes");
		return NULL;
	}
	pthread_mutex_lock(&self->table.lock);
	memcpy(self->table.mac, mac, VNC_MAC);
	pthread_mutex_unlock(&self->table.lock);
	Py_RETURN_NONE;
}

static PyObject *neighbours_put(NeighboursObject *self, PyObject *args)
{
	const char *text, *mac;
	Py_ssize_t size, mac_size;
	struct vnc_ip ip;
	bool there;

	if (!PyArg_ParseTuple(args, "y#y#:put", &text, &size, &mac, &mac_size))
		return NULL;
	ip = address_of(text, size);
	if (!ip.version)
		return NULL;
	if (mac_size != VNC_MAC) {
		PyErr_SetString(PyExc_ValueError, "a MAC address has 6 bytes");
		return NULL;
	}
	pthread_mutex_lock(&self->table.lock);
	there = vnc_neighbour_put(&self->table, &ip, (const uint8_t *)mac);
	pthread_mutex_unlock(&self->table.lock);
	return PyBool_FromLong(there);
}

static PyObject *neighbours_remove(NeighboursObject *self, PyObject *args)
{
	const char *text;
	Py_ssize_t size;
	struct vnc_ip ip;

	if (!PyArg_ParseTuple(args, "y#:remove", &text, &size))
		return NULL;
	ip = address_of(text, size);
	if (!ip.version)
		return NULL;
	pthread_mutex_lock(&self->table.lock);
	vnc_neighbour_remove(&self->table, &ip);
	pthread_mutex_unlock(&self->table.lock);
	Py_RETURN_NONE;
}

static PyObject *neighbours_mark_stale(NeighboursObject *self, PyObject *args)
{
	const char *text;
	Py_ssize_t size;
	struct vnc_ip ip;

	if (!PyArg_ParseTuple(args, "y#:mark_stale", &text, &size))
		return NULL;
	ip = address_of(text, size);
	if (!ip.version)
		return NULL;
	pthread_mutex_lock(&self->table.lock);
	vnc_neighbour_mark_stale(&self->table, &ip);
	pthread_mutex_unlock(&self->table.lock);
	Py_RETURN_NONE;
}

static PyObject *neighbours_ethernet(NeighboursObject *self, PyObject *args)
{
	struct vnc_vnet_hdr hdr = {0};
	struct vnc_ethernet out;
	struct vnc_head head;
	const char *packet;
	Py_ssize_t size;

	if (!PyArg_ParseTuple(args, "y#:ethernet", &packet, &size))
		return NULL;
	head.part[0] = head.part[1] = (const uint8_t *)packet;
	head.size[0] = size > VNC_FRAME_MAX ? 0 : (uint32_t)size;
	head.size[1] = head.have = 0;
	errno = vnc_ethernet_on(&self->table, &head, &hdr, &out);
	if (errno)
		return PyErr_SetFromErrno(PyExc_OSError);
	return Py_BuildValue("y#y#OO", (const char *)&out.question, (Py_ssize_t)sizeof(out.question),
			     (const char *)out.bytes, (Py_ssize_t)sizeof(out.bytes), out.known ? Py_True : Py_False,
			     out.stale ? Py_True : Py_False);
}

static PyObject *neighbours_unasked(NeighboursObject *self, void *unused)
{
	(void)unused;
	return Py_BuildValue("KK",
			     (unsigned long long)__atomic_load_n(&self->table.unasked[0], __ATOMIC_RELAXED),
			     (unsigned long long)__atomic_load_n(&self->table.unasked[1], __ATOMIC_RELAXED));
}

static PyMethodDef methods[] = {
	{"configure", (PyCFunction)(void (*)(void))neighbours_configure, METH_VARARGS | METH_KEYWORDS, NULL},
	{"set_mac", (PyCFunction)neighbours_set_mac, METH_VARARGS, NULL},
	{"put", (PyCFunction)neighbours_put, METH_VARARGS, NULL},
	{"remove", (PyCFunction)neighbours_remove, METH_VARARGS, NULL},
	{"ethernet", (PyCFunction)neighbours_ethernet, METH_VARARGS, NULL},
	{"mark_stale", (PyCFunction)neighbours_mark_stale, METH_VARARGS, NULL},
	{NULL},
};

static PyGetSetDef properties[] = {
	{"unasked", (getter)neighbours_unasked, NULL, NULL, NULL},
	{NULL},
};

PyTypeObject Neighbours_Type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "vnetcard._core.Neighbours",
	.tp_basicsize = sizeof(NeighboursObject),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = neighbours_new,
	.tp_dealloc = (destructor)neighbours_dealloc,
	.tp_methods = methods,
	.tp_getset = properties,
};
