/* SPDX-License-Identifier: MIT */
/* The module vnetcard._core. */
#include "core_py.h"

static PyMethodDef functions[] = {
	{"recover_ledger", (PyCFunction)(void (*)(void))core_recover_ledger, METH_VARARGS | METH_KEYWORDS, NULL},
	{"allocate", core_allocate, METH_VARARGS, NULL},
	{"map_over", core_map_over, METH_VARARGS, NULL},
	{"pread_into", core_pread_into, METH_VARARGS, NULL},
	{"pwrite_from", core_pwrite_from, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "vnetcard._core",
	.m_doc = "Memory with barriers, ring ends and pump threads; see _core.pyi.",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void)
{
	static const struct {
		const char *name;
		long value;
	} numbers[] = {
		{"MERGE_UDP", VNC_MERGE_UDP},
		{"MERGE_TCP4", VNC_MERGE_TCP4},
		{"MERGE_TCP6", VNC_MERGE_TCP6},
		{"HOLD", VNC_HOLD},
		{"DROP_LINK_DOWN", VNC_DROP_LINK_DOWN},
		{"DROP_PEER_DEAD", VNC_DROP_PEER_DEAD},
		{"RUN", VNC_RUN},
		{"EVENT_EPOCH", VNC_EVENT_EPOCH},
		{"EVENT_VIOLATION", VNC_EVENT_VIOLATION},
		{"EVENT_PORT_GONE", VNC_EVENT_PORT_GONE},
		{"EVENT_REFUSED", VNC_EVENT_REFUSED},
		{"EVENT_WINDOW_LOST", VNC_EVENT_WINDOW_LOST},
		{"WAIT_ADAPTIVE", VNC_WAIT_ADAPTIVE},
		{"WAIT_POLL", VNC_WAIT_POLL},
		{"WAIT_SLEEP", VNC_WAIT_SLEEP},
		{"CHECKED_MEMORY", VNC_CHECKED_WINDOWS},
	};
	static const struct {
		const char *name;
		PyTypeObject *type;
	} types[] = {
		{"Memory", &Memory_Type},
		{"Producer", &Producer_Type},
		{"Consumer", &Consumer_Type},
		{"Pump", &Pump_Type},
		{"Doorbell", &Doorbell_Type},
		{"Tap", &Tap_Type},
		{"Neighbours", &Neighbours_Type},
		{"Rings", &Rings_Type},
		{"Memif", &Memif_Type},
		{"Vhost", &Vhost_Type},
	};
	PyObject *module = PyModule_Create(&definition);
	size_t n;

	if (!module)
		return NULL;
	for (n = 0; n < sizeof(types) / sizeof(types[0]); n++)
		if (PyType_Ready(types[n].type) < 0 ||
		    PyModule_AddObjectRef(module, types[n].name, (PyObject *)types[n].type) < 0)
			goto failed;
	for (n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
		if (PyModule_AddIntConstant(module, numbers[n].name, numbers[n].value) < 0)
			goto failed;
	if (core_ready_fifo(module) < 0)
		goto failed;
	return module;
failed:
	Py_DECREF(module);
	return NULL;
}
