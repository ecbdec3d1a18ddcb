/* SPDX-License-Identifier: MIT */
/* replay FILE...: give each file to the harness, where there is no libFuzzer.  Prints each file's name first, so that
 * a failure follows the name of its input. */
#include "fuzz.h"

int main(int argc, char **argv)
{
	static uint8_t data[1 << 16];
	size_t size;
	FILE *file;
	int n;

	for (n = 1; n < argc; n++) {
		fprintf(stderr, "%s\n", argv[n]);
		file = fopen(argv[n], "rb");
		CHECK(file);
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		uint8_t *exact = malloc(size); /* so that a sanitizer sees a read behind its end */

		CHECK(exact || !size);
		memcpy(exact, data, size);
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
	}
	printf("%d inputs ok\n", argc - 1);
	return 0;
}
