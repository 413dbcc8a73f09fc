/* A service that knows nothing of Nex or NATS: it prints the time every second until it is asked to stop.
 *
 *   cc -static -o clock-service clock-service.c
 *   nex run clock-service
 *   nex logs clock-service -f
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_stopping = 0;

static void stop(int signal) {
  (void)signal;
  is_stopping = 1;
}

int main(void) {
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  while (!is_stopping) {
    char text[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now.tv_sec));
    puts(text);
    /* Into a pipe, lines would else be kept until there are many. */
    fflush(stdout);
    sleep(1);
  }
  puts("the clock stops");
  return 0;
}
