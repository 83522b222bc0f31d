/*
 * Configuration: defaults, ranges and the textual form.
 */
#include "config_check.h"

#include "os.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum form { SIZE, NUMBER, WORD };

struct key {
    const char *name;
    enum form form;
    size_t offset, width;
    uint64_t least, most;
    const char *words; /* separated by blanks; their numbers are the values */
};

#define KEY(name, form, least, most, words)                                                                  \
    {                                                                                                        \
#name, form, offsetof(struct sinter_gc_config, name), sizeof(((struct sinter_gc_config *)0)->name),  \
            least, most, words                                                                               \
    }

static const struct key keys[] = {
    KEY(maximum, SIZE, 0, (uint64_t)1 << 40, NULL),
    KEY(soft_limit, SIZE, 0, (uint64_t)1 << 40, NULL),
    KEY(minimum, SIZE, 0, (uint64_t)1 << 40, NULL),
    KEY(growth, WORD, 0, 2, "factor fixed time"),
    KEY(factor, NUMBER, 101, 100000, NULL),
    KEY(fixed, SIZE, 1, (uint64_t)1 << 40, NULL),
    KEY(gc_share, NUMBER, 1, 99, NULL),
    KEY(workers, NUMBER, 0, 8, NULL),
    KEY(whole, NUMBER, 1, 100, NULL),
    KEY(release_ms, NUMBER, 0, 1000000000, NULL),
    KEY(stress, NUMBER, 0, 1000000000, NULL),
    KEY(verify, WORD, 0, 1, "off on"),
    KEY(compact, WORD, 0, 1, "off on"),
    KEY(concurrent, WORD, 0, 1, "off on"),
    KEY(generational, WORD, 0, 1, "off on"),
    KEY(faults, WORD, 0, 1, "service own"),
};

static uint64_t get(const struct sinter_gc_config *config, const struct key *key)
{
    uint64_t value = 0; /* little-endian */
    memcpy(&value, (const char *)config + key->offset, key->width);
    return value;
}

static bool set(struct sinter_gc_config *config, const struct key *key, uint64_t value)
{
    if (value < key->least || value > key->most)
        return false;
    memcpy((char *)config + key->offset, &value, key->width);
    return true;
}

void sinter_gc_config_init(struct sinter_gc_config *config)
{
    *config = (struct sinter_gc_config){
        .minimum = 16 * MiB,
        .growth = SINTER_GC_GROW_FACTOR,
        .factor = 200,
        .fixed = 64 * MiB,
        .gc_share = 10,
        .whole = 75,
        .release_ms = 1000,
        .compact = true,
        .concurrent = true,
        .generational = true,
        .faults = SINTER_GC_FAULTS_SERVICE,
    };
}

static int word_number(const char *words, const char *text, size_t length)
{
    for (int n = 0;; n++) {
        size_t word = strcspn(words, " ");
        if (word == length && memcmp(words, text, length) == 0)
            return n;
        if (words[word] == '\0')
            return -1;
        words += word + 1;
    }
}

static bool parse_number(const char *text, size_t length, bool size, uint64_t *value)
{
    char *end;
    if (length == 0 || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    static const char units[] = "kmg";
    const char *unit = size && end < text + length ? strchr(units, *end | 0x20) : NULL;
    if (unit != NULL && *unit != '\0') {
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (*value >> (64 - shift) != 0)
            return false;
        *value <<= shift;
        end++;
    }
    return errno == 0 && end == text + length;
}

static bool parse_value(struct sinter_gc_config *config, const struct key *key, const char *text,
                        size_t length)
{
    uint64_t value;
    if (key->form == WORD) {
        int number = word_number(key->words, text, length);
        return number >= 0 && set(config, key, (uint64_t)number);
    }
    return parse_number(text, length, key->form == SIZE, &value) && set(config, key, value);
}

static bool parse_item(struct sinter_gc_config *config, const char *item, size_t length)
{
    const char *colon = memchr(item, ':', length);
    if (colon == NULL)
        return false;
    size_t name = (size_t)(colon - item);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strlen(keys[i].name) == name && memcmp(keys[i].name, item, name) == 0)
            return parse_value(config, &keys[i], colon + 1, length - name - 1);
    }
    return false;
}

int sinter_gc_config_parse(struct sinter_gc_config *config, const char *text, const char **error)
{
    struct sinter_gc_config changed = *config;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        if (length > 0 && !parse_item(&changed, text, length)) {
            if (error != NULL)
                *error = text;
            errno = EINVAL;
            return -1;
        }
        text += length + (text[length] == ',');
    }
    *config = changed;
    return 0;
}

bool config_complete(struct sinter_gc_config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint64_t value = get(config, &keys[i]);
        if (value < keys[i].least || value > keys[i].most)
            return false;
    }
    if (config->maximum == 0)
        config->maximum = (size_t)sysconf(_SC_PHYS_PAGES) * PAGE_BYTES / 2;
    if (config->workers == 0)
        config->workers = (unsigned)min_size((size_t)max_size((size_t)sysconf(_SC_NPROCESSORS_ONLN), 1), 8);
    return config->maximum >= MiB;
}
