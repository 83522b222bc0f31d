#include "run_options.h"

#include "conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_KEY = 0x1000 }; /* beyond all characters: no short options */

/* An option and its name with underscores, as SINTER_CONF has it; and the end. */
static struct argp_option options[2 * CONF_COUNT + 1];

/* SINTER_CONF=help:on prints the values in the program; here, --help is argp's. */
static bool is_offered(enum conf_option option)
{
    return option != CONF_help;
}

static char *with_dashes(const char *name)
{
    char *copy = strdup(name);
    for (char *p = copy; p != NULL && *p != '\0'; p++)
        *p = *p == '_' ? '-' : *p;
    return copy;
}

static char *explain(const struct conf_description *d, bool bare)
{
    char *text;
    const char *none = *d->initial == '\0' ? "none" : d->initial;
    int length = asprintf(&text, "%s (%s%sdefault %s)", d->help, bare ? "" : d->form, bare ? "" : ", ", none);
    return length < 0 ? NULL : text;
}

/* The texts are in use until the end. */
static bool offer(enum conf_option option, struct argp_option *named, struct argp_option *alias)
{
    struct conf_description d;
    conf_describe(option, &d);
    bool bare = conf_takes(option, "on");
    *named = (struct argp_option){
        .name = with_dashes(d.name),
        .key = FIRST_KEY + option,
        .arg = bare ? strdup(d.form) : "VALUE",
        .flags = bare ? OPTION_ARG_OPTIONAL : 0,
        .doc = explain(&d, bare),
    };
    *alias = (struct argp_option){.name = d.name, .flags = OPTION_ALIAS | OPTION_HIDDEN};
    return named->name != NULL && named->arg != NULL && named->doc != NULL;
}

int run_options_init(void)
{
    struct argp_option *next = options;
    for (enum conf_option option = 0; option < CONF_COUNT; option++) {
        if (!is_offered(option))
            continue;
        if (!offer(option, next, next + 1))
            return -1;
        next += strchr(next[1].name, '_') != NULL ? 2 : 1;
    }
    *next = (struct argp_option){0};
    return 0;
}

static error_t add(char **list, enum conf_option option, const char *value, struct argp_state *state)
{
    struct conf_description d;
    char *longer, *old = *list;
    conf_describe(option, &d);
    if (!conf_takes(option, value))
        argp_error(state, "bad value '%s' for option '%s' (%s)", value, d.name, d.form);
    if (strchr(value, ',') != NULL)
        argp_error(state, "the value '%s' has a comma, at which SINTER_CONF would end it", value);
    if (asprintf(&longer, "%s%s%s:%s", old != NULL ? old : "", old != NULL ? "," : "", d.name, value) < 0)
        return ENOMEM;
    free(old);
    *list = longer;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    if (key < FIRST_KEY || key >= FIRST_KEY + CONF_COUNT)
        return ARGP_ERR_UNKNOWN;
    return add(state->input, (enum conf_option)(key - FIRST_KEY), arg != NULL ? arg : "on", state);
}

struct argp run_options = {.options = options, .parser = parse};
