/*
 * In place of symbolize.c and symbols.c, where what they need is missing.
 */
#include "command.h"

#include <stdio.h>

int command_symbolize(int argc, char **argv)
{
    (void)argc, (void)argv;
    fputs("sinter symbolize: it takes libdw and jansson, without which Sinter was built\n", stderr);
    return STATUS_FAILED;
}
