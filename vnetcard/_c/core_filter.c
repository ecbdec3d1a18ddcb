/* SPDX-License-Identifier: MIT */
/* _core.Pump.filter and punt: what the Python side asks of an rx pump's filter. */
#include "core_pump.h"

/* @item: a tuple of 4 or 16 bytes of an address, and how many of its bits count. Return: 0, or -1 with an exception. */
int core_network(struct vnc_network *network, PyObject *item)
{
	uint8_t mask[16] = {0};
	const char *text;
	Py_ssize_t size;
	int bits, n;

	if (!PyTuple_Check(item)) {
		PyErr_SetString(PyExc_TypeError, "a network is a tuple of bytes and a prefix length");
		return -1;
	}
	if (!PyArg_ParseTuple(item, "y#i", &text, &size, &bits))
		return -1;

	if ((size != 4 && size != 16) || bits < 0 || bits > 8 * (int)size) {
		PyErr_SetString(PyExc_ValueError, "a network is 4 or 16 bytes and a prefix length");
		return -1;
	}
	for (n = 0; n < bits; n++)
		mask[n / 8] |= (uint8_t)(0x80 >> n % 8);
	*network = (struct vnc_network){.version = size == 4 ? 4 : 6};
	memcpy(network->mask, mask, sizeof(mask));
	memcpy(network->address, text, (size_t)size);
	network->address[0] &= network->mask[0];
	network->address[1] &= network->mask[1];
	return 0;
}

/* Pump.filter(*, allow, configuration), with the pump in HOLD. */
PyObject *core_pump_filter(struct vnc_pump *p, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"allow", "configuration", NULL};
	struct vnc_filter filter = {0};
	PyObject *allow, *all;
	int configuration, failed = 0;
	Py_ssize_t n;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$Op:filter", names, &allow, &configuration))
		return NULL;
	all = PySequence_Tuple(allow);
	if (!all)
		return NULL;
	if (PyTuple_GET_SIZE(all) > VNC_ALLOW_MAX) {
		PyErr_Format(PyExc_ValueError, "more than %u networks", VNC_ALLOW_MAX);
		failed = -1;
	}
	for (n = 0; !failed && n < PyTuple_GET_SIZE(all); n++)
		failed = core_network(&filter.allow[filter.allowed++], PyTuple_GET_ITEM(all, n));
	Py_DECREF(all);
	if (failed)
		return NULL;
	filter.no_configuration = !configuration;
	p->filter = filter;
	Py_RETURN_NONE;
}

/* Pump.punt(*, run, program, fd, state, bypass), with the pump in HOLD. */
PyObject *core_pump_punt(struct vnc_pump *p, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"run", "program", "fd", "state", "bypass", NULL};
	unsigned long long run, program, state;
	int fd, bypass;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$KKiKp:punt", names, &run, &program, &fd, &state, &bypass))
		return NULL;
	if (run && (!program || fd < 0 || !state || state % sizeof(*p->punt.state))) {
		PyErr_SetString(PyExc_ValueError, "a punt needs a program, a socket and its state");
		return NULL;
	}
	p->punt = (struct vnc_punt){.program = (const void *)(uintptr_t)program, .fd = fd, .bypass = bypass,
				    .state = (uint64_t *)(uintptr_t)state};
	memcpy(&p->punt.run, &(uintptr_t){(uintptr_t)run}, sizeof(p->punt.run));
	Py_RETURN_NONE;
}
