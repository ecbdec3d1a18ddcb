/* SPDX-License-Identifier: MIT */
/* _core.Rings, for the files of its kinds: core_memif.c and core_vhost.c. */
#ifndef CORE_RINGS_H
#define CORE_RINGS_H
#include "core_py.h"

RingsObject *core_rings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *core_rings_ready(RingsObject *self, struct vnc_rings *rings, struct vnc_gate *in, struct vnc_gate *out);
int core_rings_add_region(RingsObject *self, PyObject *buffer, unsigned long long offset);
void core_rings_drop_regions(RingsObject *self);

#endif
