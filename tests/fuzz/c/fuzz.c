/* SPDX-License-Identifier: MIT */
/* The script, shared memory with its hooks, and the hostile peer; see fuzz.h and hook.h. */
#include "fuzz.h"
#include <sys/mman.h>

#undef memcpy /* here it is the real one */

#define AREAS_MAX 12
#define POKES_MAX 8

/* ---- the script -------------------------------------------------------------------------------- */

static const uint8_t *script, *script_end;

bool fuzz_more(void)
{
	return script < script_end;
}

uint8_t fuzz_byte(void)
{
	return fuzz_more() ? *script++ : 0;
}

uint16_t fuzz_u16(void)
{
	uint16_t low = fuzz_byte();

	return (uint16_t)(low | fuzz_byte() << 8);
}

uint32_t fuzz_u32(void)
{
	uint32_t low = fuzz_u16();

	return low | (uint32_t)fuzz_u16() << 16;
}

/** fuzz_index() - where a generation may start: at 0, or shortly before 2^32, or anywhere. */
uint32_t fuzz_index(void)
{
	uint8_t how = fuzz_byte();

	if (how < 64)
		return 0;
	return how < 192 ? 0u - VNC_LINE * (how - 63u) : fuzz_u32() & ~(VNC_LINE - 1);
}

/* ---- shared memory ----------------------------------------------------------------------------- */

static struct area {
	const uint8_t *base;
	size_t size;
	enum fuzz_owner owner;
} areas[AREAS_MAX];
static unsigned int areas_used;
static uint8_t *region, *region_end; /* with the guard pages */

/* guard, lines, guard, ring, guard */
static void map_region(void)
{
	size_t size = 4 * PAGE + RING_MAX;

	region = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(region != MAP_FAILED);
	region_end = region + size;
	CHECK(!mprotect(fuzz_lines(), PAGE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(fuzz_ring(), RING_MAX, PROT_READ | PROT_WRITE));
}

/** fuzz_lines() - a page for index lines, ledgers and statistics. */
uint8_t *fuzz_lines(void)
{
	return region + PAGE;
}

/** fuzz_ring() - RING_MAX bytes; a smaller ring starts there. */
uint8_t *fuzz_ring(void)
{
	return region + 3 * PAGE;
}

/** fuzz_area() - the code under test may load @size bytes at @base, and store there if they are OURS. */
void fuzz_area(const void *base, size_t size, enum fuzz_owner owner)
{
	CHECK(areas_used < AREAS_MAX);
	areas[areas_used++] = (struct area){base, size, owner};
}

/** fuzz_shared() - is @at in shared memory, or in a guard page? */
bool fuzz_shared(const void *at)
{
	return (const uint8_t *)at >= region && (const uint8_t *)at < region_end;
}

/** fuzz_inside() - are the @bytes at @at all within @size bytes at @base? */
bool fuzz_inside(const void *at, size_t bytes, const void *base, size_t size)
{
	size_t offset = (size_t)((const uint8_t *)at - (const uint8_t *)base);

	return (const uint8_t *)at >= (const uint8_t *)base && offset <= size && bytes <= size - offset;
}

static const struct area *area_of(const void *at, size_t bytes)
{
	unsigned int n;

	for (n = 0; n < areas_used; n++)
		if (fuzz_inside(at, bytes, areas[n].base, areas[n].size))
			return &areas[n];
	return NULL;
}

/** fuzz_begin() - a new input: shared memory without areas, all zeros. */
void fuzz_begin(const uint8_t *data, size_t size)
{
	if (!region)
		map_region();
	script = data;
	script_end = data + size;
	areas_used = 0;
	memset(fuzz_lines(), 0, PAGE);
	memset(fuzz_ring(), 0, RING_MAX);
	fuzz_forget_pokes();
	fuzz_watch(NULL, NULL);
	fuzz_ours_poked = fuzz_ours_ruined = false;
}

/* ---- the hostile peer -------------------------------------------------------------------------- */

bool fuzz_clean, fuzz_ours_poked, fuzz_ours_ruined;
uint32_t fuzz_watched, fuzz_pokes;
static const volatile void *watched[2];

/* Before load number @after from now the value at place @where becomes one around the good value, or @raw. */
static struct poke {
	uint32_t after;
	uint8_t where, choice;
	uint64_t raw;
} pokes[POKES_MAX];
static unsigned int pokes_waiting;

static uint64_t evil(uint8_t choice, uint64_t good, uint64_t raw)
{
	switch (choice % 16) {
	case 0: return 0;
	case 1: return UINT64_MAX;
	case 2: return good + VNC_LINE;
	case 3: return good - VNC_LINE;
	case 4: return good + VNC_RING_MIN;
	case 5: return good + VNC_RING_MIN + VNC_LINE;
	case 6: return good - VNC_RING_MIN;
	case 7: return good + 1;
	case 8: return good - 1;
	case 9: return good + (raw & 0xff) * VNC_LINE;
	case 10: return good ^ 1ull << (raw & 63);
	case 11: return good ^ raw;
	case 12: return (good & ~0xffffffffull) | (raw & 0xffffffff);
	case 13: return (good & 0xffffffffull) | raw << 32;
	case 14: return good;
	default: return raw;
	}
}

static void apply(const struct poke *poke)
{
	unsigned int bits = 32;
	uint64_t good = 0, value;
	void *place = fuzz_place(poke->where, &bits, &good);
	const struct area *area;

	if (!place)
		return;
	value = evil(poke->choice, good, poke->raw);
	area = area_of(place, bits / 8);
	CHECK(area);
	fuzz_clean = false;
	fuzz_pokes++;
	fuzz_ours_poked |= area->owner == OURS;
	fuzz_ours_ruined |= area->owner == OURS;
	if (bits == 64)
		*fuzz_raw64(place) = value;
	else
		*fuzz_raw32(place) = (uint32_t)value;
}

/** fuzz_poke_op() - read a poke from the script. */
void fuzz_poke_op(void)
{
	struct poke poke = {.after = fuzz_byte()};

	poke.where = fuzz_byte();
	poke.choice = fuzz_byte();
	if (poke.choice % 16 >= 9 && poke.choice % 16 != 14) {
		poke.raw = fuzz_u16();
		if (poke.choice & 0x80)
			poke.raw |= (uint64_t)fuzz_u32() << 16;
	}
	if (!poke.after)
		apply(&poke);
	else if (pokes_waiting < POKES_MAX)
		pokes[pokes_waiting++] = poke;
}

/** fuzz_forget_pokes() - from now on the peer is honest. */
void fuzz_forget_pokes(void)
{
	pokes_waiting = 0;
	fuzz_clean = true;
}

/** fuzz_watch() - count the loads of two words in fuzz_watched: code that checks a word must load it once. */
void fuzz_watch(const void *first, const void *second)
{
	watched[0] = first;
	watched[1] = second;
	fuzz_watched = 0;
}

static void peer_acts(void)
{
	static bool acting;
	unsigned int n;

	if (acting)
		return;
	acting = true;
	for (n = 0; n < pokes_waiting; n++)
		if (!--pokes[n].after) {
			struct poke now = pokes[n];

			pokes[n--] = pokes[--pokes_waiting];
			apply(&now);
		}
	acting = false;
}

/* ---- hooks ------------------------------------------------------------------------------------- */

static void check_access(const volatile void *at, size_t bytes, enum fuzz_owner least)
{
	const void *place = (const void *)(uintptr_t)at;
	const struct area *area;

	if (!fuzz_shared(place))
		return;
	area = area_of(place, bytes);
	if (!area || area->owner < least) {
		fprintf(stderr, "a %s of %zu bytes at %p (region %p, ring %p): %s\n", least == OURS ? "store" : "load",
			bytes, place, (void *)region, (void *)fuzz_ring(),
			area ? "the peer's area" : "outside every area");
		abort();
	}
}

void fuzz_before_load(const volatile void *at, size_t bytes)
{
	CHECK((uintptr_t)at % bytes == 0);
	check_access(at, bytes, PEERS);
	if (!fuzz_shared((const void *)(uintptr_t)at))
		return;
	if (at == watched[0] || at == watched[1])
		fuzz_watched++;
	peer_acts();
}

void fuzz_before_store(const volatile void *at, size_t bytes)
{
	CHECK((uintptr_t)at % bytes == 0);
	check_access(at, bytes, OURS);
}

void *fuzz_memcpy(void *to, const void *from, size_t bytes)
{
	if (bytes) {
		check_access(from, bytes, PEERS);
		check_access(to, bytes, OURS);
		if (fuzz_shared(from))
			peer_acts();
	}
	return memcpy(to, from, bytes);
}

/* Sanitizers do not see what the kernel is given: each piece must be in the ring, or outside shared memory. */
static void check_pieces(const struct iovec *iov, int n, enum fuzz_owner least)
{
	for (; n--; iov++) {
		const uint8_t *end = (const uint8_t *)iov->iov_base + iov->iov_len;

		CHECK(iov->iov_len <= VNC_FRAME_MAX + VNC_LINE);
		if (!iov->iov_len)
			continue;
		CHECK(fuzz_shared(iov->iov_base) == fuzz_shared(end - 1));
		if (!fuzz_shared(iov->iov_base))
			continue;
		CHECK(fuzz_inside(iov->iov_base, iov->iov_len, fuzz_ring(), RING_MAX));
		CHECK(area_of(iov->iov_base, iov->iov_len) && area_of(iov->iov_base, iov->iov_len)->owner >= least);
	}
}

ssize_t fuzz_readv(int fd, const struct iovec *iov, int n)
{
	(void)fd;
	check_pieces(iov, n, OURS);
	return fuzz_port_read(iov, n);
}

ssize_t fuzz_read(int fd, void *to, size_t bytes)
{
	return fuzz_readv(fd, &(struct iovec){to, bytes}, 1);
}

/* Of a harness without a packet socket. */
__attribute__((weak)) ssize_t fuzz_port_receive(struct msghdr *msg)
{
	(void)msg;
	abort();
}

ssize_t fuzz_recvmsg(int fd, struct msghdr *msg, int flags)
{
	(void)fd, (void)flags;
	check_pieces(msg->msg_iov, (int)msg->msg_iovlen, OURS);
	return fuzz_port_receive(msg);
}

int fuzz_written_fd;

ssize_t fuzz_writev(int fd, const struct iovec *iov, int n)
{
	fuzz_written_fd = fd;
	check_pieces(iov, n, PEERS);
	peer_acts();
	return fuzz_port_write(iov, n);
}

ssize_t fuzz_send(int fd, const void *data, size_t bytes, int flags)
{
	(void)fd, (void)flags;
	CHECK(!fuzz_shared(data));
	return fuzz_program_take(data, bytes);
}

/* ---- the CHECKED domain ------------------------------------------------------------------------ */

uint64_t vnc_checked_load(const void *at, unsigned int bytes)
{
	CHECK(fuzz_shared(at));
	fuzz_before_load(at, bytes);
	return bytes == 8 ? *fuzz_raw64(at) : *fuzz_raw32(at);
}

void vnc_checked_store(void *at, uint64_t value, unsigned int bytes)
{
	CHECK(fuzz_shared(at));
	fuzz_before_store(at, bytes);
	if (bytes == 8)
		*fuzz_raw64(at) = value;
	else
		*fuzz_raw32(at) = (uint32_t)value;
}

void vnc_checked_barrier(void) {}
void vnc_checked_rmb(void) {}
