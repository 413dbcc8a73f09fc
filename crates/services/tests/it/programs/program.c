/* The programs of the tests, by their first argument. Static, without a library of ours. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say(const char *text) { (void)!write(1, text, strlen(text)); }

static void wait_for_ever(void) { for (;;) pause(); }

static void on_usr1(int number) { (void)number; say("ending\n"); _exit(7); }

static void on_term(int number) { (void)number; say("bye\n"); _exit(0); }

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "environment")) {
    for (char **entry = environ; *entry; entry++) { say(*entry); say("\n"); }
    char directory[4096];
    if (getcwd(directory, sizeof directory)) { say("cwd "); say(directory); say("\n"); }
    return 0;
  }
  if (!strcmp(what, "busy")) { while (clock() < CLOCKS_PER_SEC / 5) {} return 0; }
  if (!strcmp(what, "exit")) return atoi(argv[2]);
  if (!strcmp(what, "crash")) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
  if (!strcmp(what, "polite")) { signal(SIGTERM, on_term); signal(SIGINT, on_term); say("up\n"); wait_for_ever(); }
  if (!strcmp(what, "plain")) { say("up\n"); wait_for_ever(); }
  if (!strcmp(what, "count")) {
    for (int n = 1;; n++) { printf("%d\n", n); fflush(stdout); usleep(5000); }
  }
  if (!strcmp(what, "told-to-end")) { signal(SIGUSR1, on_usr1); say("up\n"); wait_for_ever(); }
  if (!strcmp(what, "stubborn")) {
    signal(SIGTERM, SIG_IGN);
    if (fork() == 0) {
      setsid();
      if (fork() == 0) { setsid(); say("grandchild\n"); wait_for_ever(); }
      say("child\n");
      wait_for_ever();
    }
    say("root\n");
    wait_for_ever();
  }
  if (!strcmp(what, "orphan")) {
    if (fork() == 0) { setsid(); close(1); close(2); wait_for_ever(); }
    return 0;
  }
  if (!strcmp(what, "flood")) {
    for (int n = 0; n < 10000; n++) printf("line %d\n", n);
    return 0;
  }
  if (!strcmp(what, "endless")) {
    char block[65536];
    memset(block, 'x', sizeof block);
    for (int n = 0; n < 1024; n++) (void)!write(1, block, sizeof block);
    return 0;
  }
  if (!strcmp(what, "binary")) {
    unsigned char all[256];
    for (int n = 0; n < 256; n++) all[n] = (unsigned char)n;
    (void)!write(2, all, sizeof all);
    return 0;
  }
  if (!strcmp(what, "partial")) { say("half"); wait_for_ever(); }
  if (!strcmp(what, "litter")) {
    FILE *file = fopen("file", "w");
    if (file) { fputs("x", file); fclose(file); }
    say("up\n");
    wait_for_ever();
  }
  return 99;
}
