/* SPDX-License-Identifier: MIT */
/* _core.Pump, for its two files: core_pump.c makes and ends pumps, core_pump_methods.c has the methods. */
#ifndef CORE_PUMP_H
#define CORE_PUMP_H
#include "core_py.h"

typedef struct {
	PyObject_HEAD
	MemoryObject *memory;     /* NULL: closed */
	DoorbellObject *doorbell; /* NULL: none */
	PyObject *rings;          /* its port's; NULL: none */
	PyObject *partner;        /* rx: the tx pump of the same side, see vnc_pump_set_partner(); NULL: none */
	int partner_of;           /* tx: the number of rx pumps that refer to it, which must be closed first */
	PyObject *taps;           /* a tuple of Tap, which the pump uses; NULL: none */
	PyObject *neighbours;     /* a Neighbours, whose table the pump uses; NULL: none */
	struct vnc_pump *pump;
} PumpObject;

extern PyMethodDef core_pump_methods[];
extern PyGetSetDef core_pump_properties[];

PyObject *core_pump_filter(struct vnc_pump *p, PyObject *args, PyObject *kwargs); /* core_filter.c */
PyObject *core_pump_punt(struct vnc_pump *p, PyObject *args, PyObject *kwargs);
PyObject *core_pump_close(PumpObject *self, PyObject *unused);

#endif
