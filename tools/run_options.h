/*
 * The library's options as options of a command, from the table of alloc/conf.h: `--cache-idle=2s`, and `--stats` for
 * `--stats=on` where that is a value.
 */
#ifndef SINTER_RUN_OPTIONS_H
#define SINTER_RUN_OPTIONS_H

#include <argp.h>

/*
 * For `children` of a command's argp; its input is a char * that is NULL or from malloc, to which what was given is added
 * as SINTER_CONF wants it ("cache_idle:2s,stats:on"). A value that the library would refuse ends in a usage error.
 */
extern struct argp run_options;

/* To be called before. -1: out of memory. */
int run_options_init(void);

#endif
