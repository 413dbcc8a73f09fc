/* What `cargo xtask bench services` deploys. Without an argument it ends at once; `wait` waits; `first
   SUBJECT` publishes there, over a connection of its own, when its first instruction was. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void publish(const char *subject, struct timespec began) {
  char host[64] = "", text[512], number[32];
  int port = 4222, fd = socket(AF_INET, SOCK_STREAM, 0);
  const char *url = getenv("NATS_URL");
  if (!url || sscanf(url, "nats://%63[^:]:%d", host, &port) < 1) exit(97);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) exit(96);
  int n = snprintf(number, sizeof number, "%lld", began.tv_sec * 1000000000LL + began.tv_nsec);
  n = snprintf(text, sizeof text, "CONNECT {\"verbose\":false}\r\nPUB %s %d\r\n%s\r\n", subject, n, number);
  if (write(fd, text, n) != n) exit(95);
}

int main(int n_args, char **args) {
  struct timespec began;
  clock_gettime(CLOCK_MONOTONIC, &began);
  if (n_args < 2) return 0;
  if (n_args > 2 && strcmp(args[1], "first") == 0) publish(args[2], began);
  for (;;) pause();
}
