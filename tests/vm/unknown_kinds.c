/*
 * Makes a kernel not know some kinds of qdiscs: with this in LD_PRELOAD, each of the names in UNKNOWN_KINDS that a
 * program sends over a socket gets another first letter, so that it is the kernel that says there is no such kind.
 * For what a distribution's kernel has built in, and cannot be unloaded.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void rename_kinds(char *message, size_t length)
{
	char kinds[256] = "";
	const char *unknown = getenv("UNKNOWN_KINDS");
	char *save = NULL;

	strncpy(kinds, unknown ? unknown : "", sizeof kinds - 1);
	for (char *kind = strtok_r(kinds, " ", &save); kind; kind = strtok_r(NULL, " ", &save)) {
		/* As an attribute has it: with the zero at its end. */
		char *found = memmem(message, length, kind, strlen(kind) + 1);

		if (found)
			*found = 'X';
	}
}

ssize_t sendto(int fd, const void *message, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
	static ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	char *copy = malloc(length ? length : 1);
	ssize_t sent;

	if (!next)
		next = (ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "sendto");
	if (!copy)
		abort();
	memcpy(copy, message, length);
	rename_kinds(copy, length);
	sent = next(fd, copy, length, flags, to, size);
	free(copy);
	return sent;
}

ssize_t send(int fd, const void *message, size_t length, int flags)
{
	return sendto(fd, message, length, flags, NULL, 0);
}
