/*
 * Runs a program under a system call filter: filtered eperm|enosys|kill WHAT... -- PROGRAM [ARGUMENT...]. WHAT is what the
 * filter answers so: "call", userfaultfd(2); "device", a descriptor from /dev/userfaultfd; the others stand in the table.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NEW_DESCRIPTOR = 0xAA00, RULE = 5, RULES_MOST = 8 };

static const struct {
    const char *name;
    uint32_t call, request; /* of ioctl(2); 0: any */
} denials[] = {
    {"call", SYS_userfaultfd, 0},  {"device", SYS_ioctl, NEW_DESCRIPTOR},    {"barrier", SYS_membarrier, 0},
    {"table", SYS_close_range, 0}, {"scheduler", SYS_sched_setscheduler, 0},
};

static const struct {
    const char *name;
    uint32_t value;
} answers[] = {
    {"eperm", SECCOMP_RET_ERRNO | EPERM},
    {"enosys", SECCOMP_RET_ERRNO | ENOSYS},
    {"kill", SECCOMP_RET_KILL_PROCESS},
};

static struct sock_filter filter[RULES_MOST * RULE + 1];
static unsigned short filled;

static void add(struct sock_filter instruction)
{
    filter[filled++] = instruction;
}

static int deny(const char *name, uint32_t answer)
{
    for (size_t i = 0; i < sizeof denials / sizeof *denials; i++) {
        if (strcmp(denials[i].name, name) != 0)
            continue;
        add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
        if (denials[i].request != 0) {
            add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denials[i].call, 0, 3));
            add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             offsetof(struct seccomp_data, args[1])));
            add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denials[i].request, 0, 1));
        } else {
            add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denials[i].call, 0, 1));
        }
        add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
        return 0;
    }
    return -1;
}

static int usage(void)
{
    fputs("usage: filtered eperm|enosys|kill WHAT... -- PROGRAM [ARGUMENT...]\n", stderr);
    return 99;
}

int main(int argc, char **argv)
{
    size_t answer = 0, answers_known = sizeof answers / sizeof *answers;
    int at = 2;
    while (argc > 1 && answer < answers_known && strcmp(answers[answer].name, argv[1]) != 0)
        answer++;
    if (argc < 2 || answer == answers_known)
        return usage();
    for (; at < argc && at < 2 + RULES_MOST && strcmp(argv[at], "--") != 0; at++) {
        if (deny(argv[at], answers[answer].value) != 0)
            return usage();
    }
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0)
        return usage();
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog program = {filled, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        perror("filtered: no system call filters here");
        return 77;
    }
    execvp(argv[at + 1], argv + at + 1);
    perror(argv[at + 1]);
    return 99;
}
