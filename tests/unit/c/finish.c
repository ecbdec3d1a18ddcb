/* SPDX-License-Identifier: MIT */
/*
 * Finishes packets (vnc_finish.h).  From stdin, cases of `ethernet, len, virtio_net_hdr, packet`, with numbers of 32
 * bits; to stdout, for each of them `count` (UINT32_MAX: refused), then `len, packet` of each result.
 */
#include "harness.h"
#include "vnc_finish.h"

static int read_word(uint32_t *word)
{
	return fread(word, sizeof(*word), 1, stdin) == 1;
}

static void write_word(uint32_t word)
{
	CHECK(fwrite(&word, sizeof(word), 1, stdout) == 1);
}

static void finish(uint32_t ethernet, uint32_t len)
{
	uint8_t *packet = malloc(len ? len : 1), *out, *results = NULL; /* of exactly that size: a sanitizer watches */
	uint32_t bytes, count = 0, largest = 0, at = 0;
	struct vnc_vnet_hdr hdr;
	struct vnc_finish f;

	CHECK(packet && fread(&hdr, sizeof(hdr), 1, stdin) == 1 && fread(packet, 1, len, stdin) == len);
	if (vnc_finish_begin(&f, &hdr, packet, len, (int)ethernet)) {
		write_word(UINT32_MAX);
		free(packet);
		return;
	}
	while ((bytes = vnc_finish_next(&f, &out))) {
		CHECK(out >= packet && out + bytes <= packet + len);
		results = realloc(results, at + bytes + sizeof(bytes));
		CHECK(results);
		memcpy(results + at, &bytes, sizeof(bytes));
		memcpy(results + at + sizeof(bytes), out, bytes);
		at += bytes + (uint32_t)sizeof(bytes);
		largest = bytes > largest ? bytes : largest;
		count++;
		CHECK(vnc_finish_left(&f) == (f.at < len));
	}
	CHECK(!vnc_finish_left(&f) && count && largest == vnc_finish_largest(&f));
	write_word(count);
	CHECK(fwrite(results, 1, at, stdout) == at);
	free(results);
	free(packet);
}

int main(void)
{
	uint32_t ethernet, len;

	while (read_word(&ethernet) && read_word(&len))
		finish(ethernet, len);
	return 0;
}
