/* A disk that takes at least 2 ms to say that it has something, as one across a network does: stands
 * before the fdatasync of the C library, by which PostgreSQL waits for its log on Linux. */

#define _GNU_SOURCE
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int file)
{
	struct timespec longer = { 0, 2 * 1000 * 1000 };

	nanosleep(&longer, NULL);
	return (int) syscall(SYS_fdatasync, file);
}
