#include "conf.h"

#include "fatal.h"
#include "fmt.h"
#include "os.h"

#include <errno.h>
#include <string.h>

enum kind { SWITCH, COUNT, BYTES, MILLIS, CHOICE, RATE, PATH };
enum when { START, LIVE };

struct option {
    const char *name;
    enum kind kind;
    int64_t initial, least, most;
    const char *choices;
    enum when when;
    const char *help;
};

static const struct option options[] = {
#define X(name, ...) {#name, __VA_ARGS__},
    CONF_TABLE(X)
#undef X
};

_Atomic int64_t conf_values[CONF_COUNT] = {
#define X(name, kind, initial, ...) initial,
    CONF_TABLE(X)
#undef X
};

/* Paths, one after the other, each ended by NUL. The value of such an option is where its path starts; at 0 is an empty one. */
static char paths[4096];
static size_t paths_used = 1;

const char *conf_text(enum conf_option option)
{
    return paths + conf_get(option);
}

static bool same_word(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && memcmp(word, text, length) == 0;
}

static const struct option *find(const char *key, size_t length)
{
    for (size_t i = 0; i < CONF_COUNT; i++) {
        if (same_word(options[i].name, key, length))
            return &options[i];
    }
    return NULL;
}

static bool parse_choice(const char *choices, const char *text, size_t length, int64_t *value)
{
    int64_t index = 0;
    for (const char *word = choices; word != NULL; index++) {
        const char *bar = strchr(word, '|');
        size_t word_length = bar != NULL ? (size_t)(bar - word) : strlen(word);
        if (word_length == length && memcmp(word, text, length) == 0) {
            *value = index;
            return true;
        }
        word = bar != NULL ? bar + 1 : NULL;
    }
    return false;
}

/* What a suffix multiplies by; 0 if it isn't one of the kind. */
static int64_t suffix_factor(enum kind kind, const char *suffix, size_t length)
{
    static const struct {
        enum kind kind;
        const char *text;
        int64_t factor;
    } suffixes[] = {
        {BYTES, "k", 1 << 10}, {BYTES, "m", 1 << 20}, {BYTES, "g", 1 << 30}, {BYTES, "t", (int64_t)1 << 40},
        {BYTES, "K", 1 << 10}, {BYTES, "M", 1 << 20}, {BYTES, "G", 1 << 30}, {BYTES, "T", (int64_t)1 << 40},
        {MILLIS, "ms", 1},     {MILLIS, "s", 1000},
    };
    if (length == 0)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (suffixes[i].kind == kind && same_word(suffixes[i].text, suffix, length))
            return suffixes[i].factor;
    }
    return 0;
}

static bool parse_number(const struct option *o, const char *text, size_t length, int64_t *value)
{
    bool negative = length > 0 && text[0] == '-';
    size_t at = negative;
    int64_t n = 0;
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, text[at] - '0', &n))
            return false;
    }
    if (at == (size_t)negative)
        return false;
    int64_t factor = suffix_factor(o->kind, text + at, length - at);
    if (factor == 0 || __builtin_mul_overflow(n, factor, &n))
        return false;
    *value = negative ? -n : n;
    return *value >= o->least && *value <= o->most;
}

static const struct {
    const char *word;
    int64_t value;
} rates[] = {{"off", 0}, {"on", CONF_RATE_ON}, {"all", 1}};

static bool parse_rate(const struct option *o, const char *text, size_t length, int64_t *value)
{
    static const char sample[] = "sample=";
    const size_t prefix = sizeof(sample) - 1;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        if (same_word(rates[i].word, text, length)) {
            *value = rates[i].value;
            return true;
        }
    }
    return length > prefix && memcmp(text, sample, prefix) == 0 &&
           parse_number(o, text + prefix, length - prefix, value) && *value > 0;
}

static bool parse_path(const char *text, size_t length, int64_t *value)
{
    *value = 0;
    if (length == 0)
        return true;
    if (text[0] != '/' || paths_used + length + 1 > sizeof(paths))
        return false;
    *value = (int64_t)paths_used;
    memcpy(paths + paths_used, text, length);
    paths[paths_used + length] = '\0';
    paths_used += length + 1;
    return true;
}

static bool parse_value(const struct option *o, const char *text, size_t length, int64_t *value)
{
    if (o->kind == CHOICE)
        return parse_choice(o->choices, text, length, value);
    if (o->kind == SWITCH)
        return parse_choice("off|on", text, length, value) ||
               parse_choice("false|true", text, length, value) || parse_choice("0|1", text, length, value);
    if (o->kind == RATE)
        return parse_rate(o, text, length, value);
    if (o->kind == PATH)
        return parse_path(text, length, value);
    return parse_number(o, text, length, value);
}

static void print_form(struct fmt *f, const struct option *o)
{
    static const char *const units[] = {[COUNT] = "", [BYTES] = " bytes", [MILLIS] = " ms"};
    if (o->kind == PATH)
        fmt_print(f, "/...");
    else if (o->choices != NULL || o->kind == SWITCH)
        fmt_print(f, "%s", o->choices != NULL ? o->choices : "off|on");
    else
        fmt_print(f, "%ld..%ld%s", o->least, o->most, units[o->kind]);
}

static void print_rate(struct fmt *f, int64_t value)
{
    if (value <= 1)
        fmt_print(f, "%s", value == 0 ? "off" : "all");
    else
        fmt_print(f, "sample=%ld", value);
}

static void print_value(struct fmt *f, const struct option *o, int64_t value)
{
    if (o->kind == RATE) {
        print_rate(f, value);
        return;
    }
    if (o->kind == PATH) {
        fmt_print(f, "%s", paths + value);
        return;
    }
    if (o->kind != CHOICE && o->kind != SWITCH) {
        fmt_print(f, "%ld", value);
        return;
    }
    const char *word = o->kind == CHOICE ? o->choices : "off|on";
    while (value-- > 0)
        word = strchr(word, '|') + 1;
    for (; *word != '\0' && *word != '|'; word++)
        fmt_print(f, "%c", *word);
}

/* A copy that ends in NUL, for messages. */
static const char *excerpt(char *buffer, size_t size, const char *text, size_t length)
{
    length = min_size(length, size - 1);
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    return buffer;
}

static void complain(const char *source, const struct option *o, const char *text, size_t length)
{
    char value[64], form[160];
    struct fmt f;
    fmt_to_buffer(&f, form, sizeof(form));
    print_form(&f, o);
    warning("%s: bad value '%s' for option '%s' (%s)", source, excerpt(value, sizeof(value), text, length),
            o->name, form);
}

/* One "key:value" of `length` bytes. */
static void parse_pair(const char *source, const char *pair, size_t length)
{
    const char *colon = memchr(pair, ':', length);
    size_t key_length = colon != NULL ? (size_t)(colon - pair) : length;
    const struct option *o = find(pair, key_length);
    if (o == NULL) {
        char key[64];
        warning("%s: unknown option '%s' (SINTER_CONF=help:on lists them)", source,
                excerpt(key, sizeof(key), pair, key_length));
        return;
    }
    const char *text = colon != NULL ? colon + 1 : pair + length;
    size_t text_length = (size_t)(pair + length - text);
    int64_t value;
    if (parse_value(o, text, text_length, &value))
        store_relaxed(&conf_values[o - options], value);
    else
        complain(source, o, text, text_length);
}

static void parse_list(const char *source, const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ",");
        if (length > 0)
            parse_pair(source, list, length);
        list += length + (list[length] == ',');
    }
}

/* A line of the file; `#` starts a comment where no value can have it. */
static void parse_line(const char *path, unsigned number, char *line)
{
    char source[256];
    struct fmt f;
    for (char *p = line; *p != '\0'; p++) {
        if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t'))
            *p = '\0';
    }
    line += strspn(line, " \t");
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL)
        line[--length] = '\0';
    fmt_to_buffer(&f, source, sizeof(source));
    fmt_print(&f, "%s:%u", path, number);
    parse_list(source, line);
}

static void parse_file(const char *path)
{
    static char text[8 * 1024];
    long length = os_read_file(path, text, sizeof(text));
    if (length == (long)sizeof(text) - 1)
        warning("%s: ignored, since it is longer than %d bytes", path, (int)sizeof(text) - 2);
    else if (length == -EACCES)
        warning("%s: ignored, since it cannot be read by this user", path);
    else if (length > 0) {
        unsigned number = 1;
        for (char *line = text, *end; line != NULL; line = end, number++) {
            end = strchr(line, '\n');
            if (end != NULL)
                *end++ = '\0';
            parse_line(path, number, line);
        }
    }
}

void conf_init(const char *file, const char *program, const char *environment)
{
    if (file != NULL)
        parse_file(file);
    parse_list("sinter_conf", program);
    parse_list("SINTER_CONF", environment);
    if (conf_get(CONF_help))
        conf_help(2);
}

int conf_get_text(const char *key, char *value, size_t size)
{
    const struct option *o = find(key, strlen(key));
    if (o == NULL)
        return ENOENT;
    struct fmt f;
    fmt_to_buffer(&f, value, size);
    print_value(&f, o, conf_get((enum conf_option)(o - options)));
    return f.total < size ? 0 : ERANGE;
}

/* No path is kept: they can be given at start only. */
static bool parse_only(const struct option *o, const char *text, int64_t *value)
{
    size_t used = paths_used;
    bool right = parse_value(o, text, strlen(text), value);
    paths_used = used;
    return right;
}

int conf_set_text(const char *key, const char *value)
{
    const struct option *o = find(key, strlen(key));
    if (o == NULL)
        return ENOENT;
    int64_t parsed;
    if (!parse_only(o, value, &parsed))
        return EINVAL;
    if (o->when == START)
        return EPERM;
    store_relaxed(&conf_values[o - options], parsed);
    return 0;
}

void conf_help(int fd)
{
    char buffer[512];
    struct fmt f;
    fmt_to_fd(&f, fd, buffer, sizeof(buffer));
    fmt_print(&f, "SINTER_CONF=\"key:value,...\"; the options, their values here, [defaults] and forms:\n");
    for (size_t i = 0; i < CONF_COUNT; i++) {
        const struct option *o = &options[i];
        fmt_print(&f, "  %s:", o->name);
        print_value(&f, o, conf_get((enum conf_option)i));
        fmt_print(&f, "  [");
        print_value(&f, o, o->initial);
        fmt_print(&f, "]  ");
        print_form(&f, o);
        fmt_print(&f, "%s\n      %s\n", o->when == LIVE ? "" : "  (at start only)", o->help);
    }
    fmt_flush(&f);
}

void conf_describe(enum conf_option option, struct conf_description *description)
{
    const struct option *o = &options[option];
    struct fmt f;
    description->name = o->name;
    description->help = o->help;
    fmt_to_buffer(&f, description->initial, sizeof(description->initial));
    print_value(&f, o, o->initial);
    fmt_to_buffer(&f, description->form, sizeof(description->form));
    print_form(&f, o);
}

bool conf_takes(enum conf_option option, const char *value)
{
    int64_t unused;
    return parse_only(&options[option], value, &unused);
}
