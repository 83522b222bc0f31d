#include "command.h"

#include "symbols.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a line of a stack: "    #0 0x55d9d9c89187 /srv/server+0x1187" ---- */

struct place {
    char *module;
    uint64_t offset;
};

static bool skip_hex(const char **p)
{
    if (strncmp(*p, "0x", 2) != 0)
        return false;
    const char *digits = *p + 2;
    *p = digits + strspn(digits, "0123456789abcdef");
    return *p > digits;
}

/* Is it the whole line? */
static bool parse_place(char *line, struct place *place)
{
    static const char begin[] = "    #";
    const char *p = line;
    if (strncmp(p, begin, strlen(begin)) != 0)
        return false;
    p += strlen(begin);
    p += strspn(p, "0123456789");
    if (*p++ != ' ' || !skip_hex(&p) || *p != ' ' || p[1] != '/')
        return false;
    char *module = line + (p + 1 - line), *plus = strrchr(module, '+');
    const char *end = plus != NULL ? plus + 1 : "";
    if (!skip_hex(&end) || *end != '\0')
        return false;
    *plus = '\0';
    *place = (struct place){module, strtoull(plus + 1, NULL, 16)};
    return true;
}

static void print_source(const struct source *s)
{
    printf("%s", s->function != NULL ? s->function : "??");
    if (s->file != NULL)
        printf(" at %s:%d", s->file, s->line);
}

static void print_text(const char *line)
{
    struct place place;
    struct source sources[SOURCES];
    char *copy = strdup(line);
    size_t count =
        copy != NULL && parse_place(copy, &place) ? symbols_find(place.module, place.offset, sources) : 0;
    printf("%s", line);
    for (size_t i = 0; i < count; i++) {
        printf(i == 0 ? ": " : "\n         inlined in ");
        print_source(&sources[i]);
    }
    symbols_free(sources, count);
    free(copy);
}

/* ---- JSON: objects with a field "stack", at any depth ---- */

static void describe(json_t *object, const struct source *s)
{
    if (s->function != NULL)
        json_object_set_new(object, "function", json_string(s->function));
    if (s->file == NULL)
        return;
    json_object_set_new(object, "file", json_string(s->file));
    json_object_set_new(object, "line", json_integer(s->line));
}

static void extend_frame(json_t *frame)
{
    const char *module = json_string_value(json_object_get(frame, "module")),
               *offset = json_string_value(json_object_get(frame, "offset"));
    struct source sources[SOURCES];
    if (module == NULL || offset == NULL)
        return;
    size_t count = symbols_find(module, strtoull(offset, NULL, 16), sources);
    if (count > 0)
        describe(frame, &sources[0]);
    json_t *outer = count > 1 ? json_array() : NULL;
    for (size_t i = 1; i < count; i++) {
        json_t *object = json_object();
        describe(object, &sources[i]);
        json_array_append_new(outer, object);
    }
    if (outer != NULL)
        json_object_set_new(frame, "inlined_in", outer);
    symbols_free(sources, count);
}

static bool extend(json_t *object)
{
    const char *key;
    json_t *value, *frame;
    size_t i;
    bool found = false;
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value))
            found |= extend(value);
        if (strcmp(key, "stack") != 0 || !json_is_array(value))
            continue;
        found = true;
        json_array_foreach(value, i, frame) extend_frame(frame);
    }
    return found;
}

/* False if the line is none of these. */
static bool print_json(const char *line, size_t length)
{
    json_t *report = json_loadb(line, length, 0, NULL);
    bool is_report = json_is_object(report) && extend(report);
    if (is_report)
        json_dumpf(report, stdout, JSON_COMPACT);
    json_decref(report);
    return is_report;
}

/* ---- lines ---- */

/* What is no part of a report comes out as it is, byte by byte. */
static void print_line(const char *line, size_t length)
{
    if (*line == '{' && print_json(line, length))
        return;
    if (strlen(line) == length)
        print_text(line);
    else
        fwrite(line, 1, length, stdout);
}

static int filter(FILE *in, const char *name)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0;) {
        size_t length = (size_t)n;
        bool whole = line[length - 1] == '\n';
        if (whole)
            line[--length] = '\0';
        print_line(line, length);
        if (whole)
            putchar('\n');
    }
    free(line);
    if (!ferror(in))
        return 0;
    fprintf(stderr, "sinter symbolize: %s: %s\n", name, strerror(errno));
    return STATUS_FAILED;
}

static int filter_file(const char *name)
{
    FILE *in = fopen(name, "r");
    if (in == NULL) {
        fprintf(stderr, "sinter symbolize: %s: %s\n", name, strerror(errno));
        return STATUS_FAILED;
    }
    int status = filter(in, name);
    fclose(in);
    return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    char ***files = state->input;
    switch (key) {
    case 'd':
        if (symbols_add_directory(arg) != 0)
            argp_failure(state, STATUS_FAILED, errno, "%s", arg);
        return 0;
    case ARGP_KEY_ARGS:
        *files = state->argv + state->next;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_symbolize(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"debug", 'd', "DIRECTORY", 0,
         "Look there, too, for separate debugging information (.build-id/...), before /usr/lib/debug", 0},
        {0},
    };
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[FILE...]",
        .doc =
            "Copies FILEs, or standard input, to standard output, and adds functions and source lines to the "
            "stacks of guard mode's reports, in text or JSON.\v"
            "The programs and libraries must be those that made the report. If DEBUGINFOD_URLS is set, "
            "what they lack is asked for there.",
    };
    char **files = NULL;
    int status = 0;
    argp_parse(&argp, argc, argv, 0, NULL, &files);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a report is seen when it comes */
    if (files == NULL)
        status = filter(stdin, "standard input");
    for (; files != NULL && *files != NULL; files++)
        status |= filter_file(*files);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "sinter symbolize: standard output: %s\n", strerror(errno));
        return STATUS_FAILED;
    }
    return status;
}
