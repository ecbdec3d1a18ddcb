/* SPDX-License-Identifier: MIT */
/* vnetcard._core: what the files of the Python binding share.  The docstrings are in _core.pyi. */
#ifndef CORE_PY_H
#define CORE_PY_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "vnc_pump.h"

/* A mapped window.  It stays mapped while an end or a pump uses it. */
typedef struct {
	PyObject_HEAD
	Py_buffer view;
	uint8_t *base; /* view.buf, or the front of checked memory (vnc_checked.h) */
	enum vnc_domain domain;
	Py_ssize_t users; /* ends, pumps and doorbells that refer to it */
	uint32_t *lost; /* of coherent memory: 1 once a part of it was found missing; else NULL */
	bool open;
} MemoryObject;

extern PyTypeObject Memory_Type;
extern PyTypeObject Producer_Type;
extern PyTypeObject Consumer_Type;
extern PyTypeObject Pump_Type;
extern PyTypeObject Doorbell_Type;
extern PyTypeObject Tap_Type;
extern PyTypeObject Neighbours_Type;
extern PyTypeObject Rings_Type;
extern PyTypeObject Memif_Type;
extern PyTypeObject Vhost_Type;

/* A ring of events in shared memory, which stays mapped while a pump uses it. */
typedef struct {
	PyObject_HEAD
	Py_buffer view;
	struct vnc_tap tap;
} TapObject;

typedef struct {
	PyObject_HEAD
	MemoryObject *memory;
	struct vnc_doorbell doorbell;
} DoorbellObject;

typedef struct {
	PyObject_HEAD
	struct vnc_neighbours table;
} NeighboursObject;

/* The rings of a port; they may be attached to a peer's, and taken away, while pumps use the object. */
typedef struct {
	PyObject_HEAD
	struct vnc_rings *rings;    /* in the object of the kind */
	struct vnc_gate *in, *out;  /* of its ends */
	int attention_fd;
	Py_buffer view[VNC_RINGS_REGIONS]; /* of the regions that are attached */
} RingsObject;

/* The offsets of an end in its window. */
struct core_end {
	unsigned long long ring, size, own, peer;
	unsigned int frame_max;
};

void *core_at(MemoryObject *m, unsigned long long offset, unsigned long long bytes, unsigned int align);
int core_check_ring(unsigned long long size);
int core_setup_end(MemoryObject *m, const struct core_end *end, struct vnc_producer *p, struct vnc_consumer *c);
PyObject *core_words(enum vnc_domain domain, const uint64_t *words, Py_ssize_t count);
int core_network(struct vnc_network *network, PyObject *item); /* core_filter.c */
int core_ready_fifo(PyObject *module);
PyObject *core_memory_watch(MemoryObject *m, PyObject *args); /* core_watch.c */
PyObject *core_recover_ledger(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *core_pread_into(PyObject *module, PyObject *args);
PyObject *core_allocate(PyObject *module, PyObject *args);
PyObject *core_map_over(PyObject *module, PyObject *args);
PyObject *core_pwrite_from(PyObject *module, PyObject *args);

#endif
