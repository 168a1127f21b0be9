/* The least that a wrapper can do: start a command and wait for it. */
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    pid_t pid;
    int status;
    if (argc < 2 || posix_spawnp(&pid, argv[1], 0, 0, argv + 1, environ) != 0)
        return 127;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
