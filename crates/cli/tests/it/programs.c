/* Programs of the tests, by their first argument. What attacks refuses to run outside of a box. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void wait_for_ever(void) { for (;;) pause(); }

static void tell(const char *what, int refused) {
  printf("%s: %s\n", what, refused ? "refused" : "SUCCEEDED");
  fflush(stdout);
}

/* In the initial pid namespace process 2 is a kernel thread, or there are many processes. */
static int is_boxed(void) {
  struct stat root;
  return getppid() <= 2 && stat("/app", &root) == 0;
}

static int listen_on(int port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0) return -1;
  return fd;
}

static void attack(int forbidden_port) {
  char block[65536];
  if (!is_boxed()) { printf("not in a box\n"); exit(98); }
  tell("read the host's passwords", open("/etc/shadow", O_RDONLY) < 0);
  tell("see the host's home", opendir("/root") == NULL);
  tell("write its own program", open("/app/prog", O_WRONLY) < 0);
  int strangers = 0;
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes && (entry = readdir(processes));)
    if (atoi(entry->d_name) > 20) strangers++;
  tell("see processes of the host", strangers == 0);
  tell("signal the host's first process", kill(1, SIGKILL) < 0 || getppid() == 1);
  pid_t child = fork();
  if (child == 0) wait_for_ever();
  tell("trace another process", ptrace(PTRACE_ATTACH, child, 0, 0) < 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  tell("mount", mount("none", "/tmp", "tmpfs", 0, "") < 0);
  tell("become root", setuid(0) < 0);
  tell("listen on a port that was not asked for", listen_on(forbidden_port) < 0);
  int file = open("/tmp/big", O_CREAT | O_WRONLY, 0600);
  long written = 0;
  for (ssize_t n; (n = write(file, block, sizeof block)) > 0;) written += n;
  tell("fill the disk", errno == ENOSPC && written <= 64 << 20);
  unlink("/tmp/big");
  int forks = 0;
  while (forks < 1000) {
    pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) wait_for_ever();
    forks++;
  }
  tell("fork without end", forks < 1000);
}

/* Speaks NATS as text: what does the control plane say to whoever has no credentials? */
static void speak(int argc, char **argv) {
  char host[64] = "", text[65536];
  int port = 4222;
  const char *url = getenv("NATS_URL");
  if (!url || sscanf(url, "nats://%63[^:]:%d", host, &port) < 1) { printf("no NATS_URL\n"); exit(97); }
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) { perror("connect"); exit(96); }
  dprintf(fd, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\n");
  dprintf(fd, "SUB answer.* 1\r\nSUB _INBOX.> 2\r\n");
  for (int n = 2; n < argc; n++) dprintf(fd, "PUB %s answer.%d 2\r\n{}\r\n", argv[n], n);
  dprintf(fd, "PING\r\n");
  printf("spoke\n");
  fflush(stdout);
  for (ssize_t n; (n = read(fd, text, sizeof text - 1)) > 0;) {
    text[n] = 0;
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
      if (!strncmp(line, "PING", 4)) dprintf(fd, "PONG\r\n");
      if (strstr(line, "answer.") || strstr(line, "503") || strstr(line, "_INBOX")) printf("%s\n", line);
    }
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "wait")) { printf("up\n"); fflush(stdout); wait_for_ever(); }
  if (!strcmp(what, "fail-soon")) { usleep(200000); fprintf(stderr, "no luck\n"); return 1; }
  if (!strcmp(what, "job")) { printf("counted to seven\n"); return 7; }
  if (!strcmp(what, "count")) {
    for (long n = 1;; n++) { printf("%ld\n", n); fflush(stdout); usleep(20000); }
  }
  if (!strcmp(what, "stubborn")) {
    signal(SIGTERM, SIG_IGN);
    for (int n = 0; n < 2; n++) if (fork() == 0) { setsid(); wait_for_ever(); }
    printf("up\n");
    fflush(stdout);
    wait_for_ever();
  }
  if (!strcmp(what, "attack")) { attack(atoi(argv[2])); return 0; }
  if (!strcmp(what, "eat")) {
    for (;;) {
      char *block = malloc(1 << 20);
      if (!block) return 12;
      memset(block, 1, 1 << 20);
    }
  }
  if (!strcmp(what, "speak")) { speak(argc, argv); wait_for_ever(); }
  if (!strcmp(what, "listen")) {
    printf("%s\n", listen_on(atoi(argv[2])) < 0 ? "cannot listen" : "listens");
    fflush(stdout);
    wait_for_ever();
  }
  return 99;
}
