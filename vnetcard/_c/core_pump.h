/* SPDX-License-Identifier: MIT */
/* _core.Pump, for the files that make it (core_pump.c), command it (core_pump_command.c) and ask it (core_pump_ask.c). */
#ifndef CORE_PUMP_H
#define CORE_PUMP_H
#include "core_py.h"

typedef struct {
	PyObject_HEAD
	MemoryObject *memory;
	DoorbellObject *doorbell; /* NULL: none */
	PyObject *partner;        /* rx: the tx pump of the same side, see vnc_pump_pair(); NULL: none */
	int lent;                 /* tx: to how many rx pumps, which must be closed first */
	PyObject *taps;           /* a tuple of Tap, which the pump uses; NULL: none */
	struct vnc_pump *pump;
} PumpObject;

/* Return: the pump, or NULL with an exception once it is closed. */
static inline struct vnc_pump *pump_of(PumpObject *self)
{
	if (!self->memory)
		PyErr_SetString(PyExc_ValueError, "the pump is closed");
	return self->memory ? self->pump : NULL;
}

extern PyMethodDef core_pump_methods[];
extern PyGetSetDef core_pump_properties[];

PyObject *core_pump_close(PumpObject *self, PyObject *unused);
PyObject *core_pump_take_events(PumpObject *self, PyObject *unused);

#endif
