/* Reads the payload from standard input and writes it back, in upper case. It needs no C library:
   WASI's two calls are declared here. */

typedef struct {
  char *at;
  unsigned length;
} span;

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_read")))
int fd_read(int file, const span *spans, unsigned n_spans, unsigned *n_read);

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write")))
int fd_write(int file, const span *spans, unsigned n_spans, unsigned *n_written);

static char buffer[4096];

static void write_all(char *at, unsigned length) {
  while (length > 0) {
    span rest = {at, length};
    unsigned n_written = 0;
    if (fd_write(1, &rest, 1, &n_written) != 0 || n_written == 0) return;
    at += n_written;
    length -= n_written;
  }
}

void _start(void) {
  for (;;) {
    span all = {buffer, sizeof buffer};
    unsigned n_read = 0;
    if (fd_read(0, &all, 1, &n_read) != 0 || n_read == 0) return;
    for (unsigned i = 0; i < n_read; i++) {
      if (buffer[i] >= 'a' && buffer[i] <= 'z') buffer[i] -= 'a' - 'A';
    }
    write_all(buffer, n_read);
  }
}
