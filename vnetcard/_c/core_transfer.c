/* SPDX-License-Identifier: MIT */
/*
 * _core.pread_into() and _core.pwrite_from(): one pread(2) or pwrite(2) on the character device of a DMA driver.
 *
 * Both follow two rules of Xilinx's stock XDMA driver (linux-kernel/xdma/cdev_sgdma.c) for every device, which does no
 * harm with other drivers:
 *
 * - Never a vectored call.  preadv(2) and pwritev(2) take the driver's asynchronous path, which ignores the file's
 *   offset and returns -EIOCBQUEUED: data at card address 0, and a kernel BUG.
 * - The buffer's address and the card's address are equal modulo the core's address alignment (up to 64 bytes), else
 *   EINVAL.  Here they are equal modulo a page: a buffer that is not aligned so goes through one that is.
 */
#include "core_py.h"
#include <stdlib.h>
#include <unistd.h>

#define PAGE 4096u
#define BOUNCE_MAX (1u << 20) /* bytes a call through the bounce buffer; the caller continues a short transfer */

enum direction { FROM_DEVICE, TO_DEVICE };

static ssize_t call(enum direction direction, int fd, void *buffer, size_t count, off_t position)
{
	return direction == TO_DEVICE ? pwrite(fd, buffer, count, position) : pread(fd, buffer, count, position);
}

/* As call(), through a buffer that is aligned as @position is; -1 with errno. */
static ssize_t call_bounced(enum direction direction, int fd, void *buffer, size_t count, off_t position)
{
	size_t lead = (size_t)position % PAGE;
	ssize_t moved;
	uint8_t *pages;
	int error;

	if (count > BOUNCE_MAX)
		count = BOUNCE_MAX;
	pages = aligned_alloc(PAGE, (lead + count + PAGE - 1) / PAGE * PAGE);
	if (!pages)
		return -1;
	if (direction == TO_DEVICE)
		memcpy(pages + lead, buffer, count);
	moved = call(direction, fd, pages + lead, count, position);
	error = errno;
	if (direction == FROM_DEVICE && moved > 0)
		memcpy(buffer, pages + lead, (size_t)moved < count ? (size_t)moved : count);
	free(pages);
	errno = error;
	return moved;
}

static PyObject *transfer(enum direction direction, PyObject *args, const char *format)
{
	long long position;
	Py_buffer view;
	ssize_t moved;
	bool aligned;
	int fd;

	if (!PyArg_ParseTuple(args, format, &fd, &view, &position))
		return NULL;
	if (position < 0) {
		PyBuffer_Release(&view);
		PyErr_SetString(PyExc_ValueError, "position is negative");
		return NULL;
	}
	aligned = (uintptr_t)view.buf % PAGE == (size_t)position % PAGE;
	Py_BEGIN_ALLOW_THREADS
	moved = (aligned ? call : call_bounced)(direction, fd, view.buf, (size_t)view.len, (off_t)position);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&view);
	return moved < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromSsize_t(moved);
}

PyObject *core_pread_into(PyObject *module, PyObject *args)
{
	(void)module;
	return transfer(FROM_DEVICE, args, "iw*L:pread_into");
}

PyObject *core_pwrite_from(PyObject *module, PyObject *args)
{
	(void)module;
	return transfer(TO_DEVICE, args, "iy*L:pwrite_from");
}
