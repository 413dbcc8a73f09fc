/* What runs in boxes of the tests: `boxed leave CODE` leaves a detached child and exits,
   `boxed dial` says "ping" to 127.0.0.1:4222, ends its half, and tells how much came back. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int leave(int code) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            for (;;)
                pause();
        _exit(0);
    }
    printf("left\n");
    fflush(stdout);
    return code;
}

static int dial(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(4222)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char buffer[65536];
    for (;;) {
        int server = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(server, (struct sockaddr *)&address, sizeof address) != 0)
            return 2;
        long total = 0;
        ssize_t length;
        if (write(server, "ping", 4) == 4 && shutdown(server, SHUT_WR) == 0)
            while ((length = read(server, buffer, sizeof buffer)) > 0)
                total += length;
        close(server);
        if (total > 0) {
            printf("%ld\n", total);
            return 0;
        }
        usleep(10000); /* nobody there yet: the shim closes, and looks again */
    }
}

int main(int count, char **arguments) {
    if (count > 2 && strcmp(arguments[1], "leave") == 0)
        return leave(atoi(arguments[2]));
    if (count > 1 && strcmp(arguments[1], "dial") == 0)
        return dial();
    if (count > 1 && strcmp(arguments[1], "wait") == 0)
        for (;;)
            pause();
    return 64;
}
