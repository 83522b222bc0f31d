#include "command.h"

#include "map_data.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BANDS = 10, BAR = 40 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    pid_t *pid = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (*pid != 0)
            argp_usage(state);
        if (!peer_parse(arg, pid))
            exit(STATUS_USAGE);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_states(const struct map_data *data)
{
    printf("  %-10s %8s %10s %12s\n", "pages", "zone", "number", "MiB");
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
        size_t counts[MAP_STATE_COUNT] = {0};
        for (size_t i = 0; i < data->zones[zone].count; i++)
            counts[data->zones[zone].pages[i].state]++;
        for (int state = 0; state < MAP_STATE_COUNT; state++) {
            if (counts[state] > 0)
                printf("  %-10s %8s %10zu %12.1f  %s\n", map_state_names[state], map_zone_names[zone],
                       counts[state], (double)counts[state] * PAGE_BYTES / MiB, map_state_helps[state]);
        }
    }
}

static bool holds_small_blocks(struct map_page page)
{
    return page.state == MAP_SMALL || page.state == MAP_ASIDE || page.state == MAP_PACKED;
}

/* How full pages of small blocks are: those that are here, and those that are away. */
static void print_fill(const struct map_data_zone *spans)
{
    size_t here[BANDS] = {0}, away[BANDS] = {0}, most = 1;
    for (size_t i = 0; i < spans->count; i++) {
        struct map_page page = spans->pages[i];
        if (holds_small_blocks(page))
            (page.state == MAP_SMALL ? here : away)[page.fill * BANDS / (UINT8_MAX + 1)]++;
    }
    for (int band = 0; band < BANDS; band++)
        most = max_size(most, here[band] + away[band]);
    printf("  %-10s %8s %10s\n", "full", "here", "away");
    for (int band = 0; band < BANDS; band++) {
        int stars = (int)(here[band] * BAR / most),
            dots = (int)((here[band] + away[band]) * BAR / most) - stars;
        printf("  %2d..%3d %% %8zu %10zu  %.*s%.*s\n", band * 100 / BANDS, (band + 1) * 100 / BANDS,
               here[band], away[band], stars, "########################################", dots,
               "........................................");
    }
}

int command_map(int argc, char **argv)
{
    const struct argp argp = {
        .parser = parse,
        .args_doc = "PID",
        .doc = "Prints what the pages of a process's heap are used for, and how full those of small blocks "
               "are.\vBlocks with "
               "mappings of their own (over 128 MiB) are not counted; `sinter stat' has them. Blocks in "
               "thread caches "
               "count as in use.",
    };
    pid_t pid = 0;
    struct peer peer;
    struct map_data data;
    argp_parse(&argp, argc, argv, 0, NULL, &pid);
    if (peer_open(&peer, pid, false) != 0)
        return STATUS_FAILED;
    bool read = map_data_read(&peer, &data);
    if (read) {
        printf("process %ld (%s)\n", (long)pid, peer.comm);
        print_states(&data);
        print_fill(&data.zones[MAP_SPANS]);
        map_data_free(&data);
    }
    peer_close(&peer);
    return read ? 0 : STATUS_FAILED;
}
