/* A program for ports; its first argument says what it does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where nothing is mapped; volatile, so that the compiler does not know. */
static int *volatile nowhere = (int *)8;

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(99);
}

/* Copies standard input to standard output until it ends. */
static int echo(void)
{
    char bytes[4096];
    ssize_t count;
    while ((count = read(STDIN_FILENO, bytes, sizeof bytes)) > 0)
        if (write(STDOUT_FILENO, bytes, count) != count)
            return 99;
    return count == 0 ? 0 : 98;
}

/* Writes `size` bytes without reading. */
static int flood(long size)
{
    static char bytes[65536];
    memset(bytes, 'x', sizeof bytes);
    while (size > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes, size < 65536 ? size : 65536);
        if (count < 0)
            return 99;
        size -= count;
    }
    return 0;
}

/* Says its number and lives on when its input ends. */
static _Noreturn void deaf(void)
{
    char text[32];
    snprintf(text, sizeof text, "%d\n", getpid());
    say(text);
    for (;;)
        pause();
}

/* Ends at once; a child of it in a session of its own speaks later. */
static int daemonise(void)
{
    struct timespec pause = {0, 50000000};
    if (fork() != 0)
        return 7;
    setsid();
    nanosleep(&pause, NULL);
    say(getppid() == 1 ? "orphan of 1\n" : "orphan of another\n");
    return 0;
}

/* Prints arguments, one variable, the working directory: one line each. */
static int show(int count, char **arguments)
{
    for (int i = 2; i < count; i++)
        printf("arg %s\n", arguments[i]);
    const char *value = getenv("PORT_TEST");
    char *directory = getcwd(NULL, 0);
    printf("env %s\ncwd %s\n", value ? value : "(none)", directory);
    free(directory);
    return 0;
}

/* Copies descriptor 3 to descriptor 4, as with `nouse_stdio`. */
static int echo_beside(void)
{
    char bytes[4096];
    ssize_t count;
    while ((count = read(3, bytes, sizeof bytes)) > 0)
        if (write(4, bytes, count) != count)
            return 99;
    return count == 0 ? 0 : 98;
}

/* Prints how many arguments and variables there are, and how long they are together. */
static int sizes(int count, char **arguments)
{
    size_t length = 0, variables = 0, all = 0;
    for (int i = 2; i < count; i++)
        length += strlen(arguments[i]);
    for (char **variable = environ; *variable; variable++)
        if (strncmp(*variable, "PORT_", 5) == 0) {
            variables++;
            all += strlen(*variable);
        }
    printf("%d %zu %zu %zu\n", count - 2, length, variables, all);
    return 0;
}

/* Doubles itself, `times` times; all processes stay until they are killed. */
static _Noreturn void multiply(int times)
{
    while (times-- > 0)
        fork();
    say(".");
    for (;;)
        pause();
}

/* Takes a MiB; 0 if there is none. Volatile, or the compiler sees that nobody needs it. */
static int take(void)
{
    volatile char *bytes = malloc(1 << 20);
    for (int i = 0; bytes && i < 1 << 20; i += 4096)
        bytes[i] = 1;
    return bytes != NULL;
}

/* Takes memory until there is none. */
static _Noreturn void hog(void)
{
    for (;;)
        take();
}

/* Takes some MiB, says so, and keeps them. */
static _Noreturn void hold(int mebibytes)
{
    while (mebibytes > 0)
        mebibytes -= take();
    say(".");
    for (;;)
        pause();
}

/* Prints which descriptors are open, and the signals that are ignored or blocked. */
static int inherited(void)
{
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("fd %d\n", fd);
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action;
        sigaction(signal, NULL, &action);
        if (action.sa_handler == SIG_IGN)
            printf("ignored %d\n", signal);
        if (sigismember(&blocked, signal))
            printf("blocked %d\n", signal);
    }
    return 0;
}

static volatile sig_atomic_t children;

static void count_child(int signal)
{
    (void)signal;
    children++;
}

/* Three children: one ends, one is killed, one crashes; prints what wait and SIGCHLD tell. */
static int family(void)
{
    struct sigaction action = {.sa_handler = count_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    for (int kind = 0; kind < 3; kind++) {
        pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            if (kind == 0)
                _exit(42);
            if (kind == 1)
                for (;;)
                    pause();
            *nowhere = 1;
        }
        setpgid(child, child);
        if (kind == 1 && kill(-child, SIGTERM) != 0)
            return 97;
        int status = 0;
        if (waitpid(child, &status, 0) != child)
            return 96;
        if (WIFEXITED(status))
            printf("exited %d\n", WEXITSTATUS(status));
        if (WIFSIGNALED(status))
            printf("killed %d\n", WTERMSIG(status));
    }
    printf("SIGCHLD %d\n", (int)children);
    return 0;
}

/* Writes to a pipe without a reader: unless it is ignored, SIGPIPE ends the program. */
static int broken_pipe(void)
{
    int ends[2];
    signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) != 0)
        return 99;
    close(ends[0]);
    return write(ends[1], "x", 1) == 1 ? 0 : 98;
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "echo";
    if (strcmp(what, "echo") == 0)
        return echo();
    if (strcmp(what, "exit") == 0)
        return atoi(arguments[2]);
    if (strcmp(what, "crash") == 0)
        *nowhere = 1;
    if (strcmp(what, "flood") == 0)
        return flood(atol(arguments[2]));
    if (strcmp(what, "deaf") == 0)
        deaf();
    if (strcmp(what, "daemon") == 0)
        return daemonise();
    if (strcmp(what, "arg0") == 0)
        return puts(arguments[0]) < 0;
    if (strcmp(what, "beside") == 0)
        return echo_beside();
    if (strcmp(what, "sizes") == 0)
        return sizes(count, arguments);
    if (strcmp(what, "multiply") == 0)
        multiply(atoi(arguments[2]));
    if (strcmp(what, "hog") == 0)
        hog();
    if (strcmp(what, "hold") == 0)
        hold(atoi(arguments[2]));
    if (strcmp(what, "show") == 0)
        return show(count, arguments);
    if (strcmp(what, "inherited") == 0)
        return inherited();
    if (strcmp(what, "family") == 0)
        return family();
    if (strcmp(what, "pipe") == 0)
        return broken_pipe();
    if (strcmp(what, "stderr") == 0)
        return write(STDERR_FILENO, "to stderr\n", 10) == 10 ? 0 : 99;
    fprintf(stderr, "port: unknown word %s\n", what);
    return 2;
}
