#include "command.h"

#include "map_data.h"
#include "picture.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BANDS = 10, BAR = 40, COMPACT_S = 600 };

struct wanted {
    pid_t pid;
    const char *picture;
    bool compact;
};

/* A heap at one time. */
struct view {
    struct map_data data;
    char caption[96];
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct wanted *wanted = state->input;
    switch (key) {
    case 'o':
        if (!picture_knows(arg))
            exit(STATUS_USAGE);
        wanted->picture = arg;
        return 0;
    case 'c':
        wanted->compact = true;
        return 0;
    case ARGP_KEY_ARG:
        if (wanted->pid != 0)
            argp_usage(state);
        if (!peer_parse(arg, &wanted->pid))
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

static bool view_read(struct view *view, struct peer *peer, const char *when)
{
    double resident = (double)peer_resident(peer) / MiB;
    snprintf(view->caption, sizeof(view->caption), "%s%s%.1f MiB resident", when, *when != '\0' ? ": " : "",
             resident);
    return map_data_read(peer, &view->data);
}

static void view_print(const struct view *view)
{
    printf(" %s\n", view->caption);
    print_states(&view->data);
    print_fill(&view->data.zones[MAP_SPANS]);
}

static bool draw(const struct wanted *wanted, const struct peer *peer, const struct view *views, size_t count)
{
    struct picture_part parts[2];
    char title[96];
    snprintf(title, sizeof(title), "%s, process %ld: a dot a page of 4 KiB", peer->comm, (long)peer->pid);
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct picture_part){views[i].caption, &views[i].data};
    return picture_draw(wanted->picture, title, parts, count);
}

/* Looks once, or before and after the process has given back what it can. */
static bool map(const struct wanted *wanted, struct peer *peer)
{
    struct view views[2] = {0};
    size_t count = 0;
    bool well = view_read(&views[count], peer, wanted->compact ? "before" : "");
    count += well;
    if (well && wanted->compact) {
        int result = peer_call(peer, CONTROL_COMPACT, 0, NULL, COMPACT_S);
        if (result > 0)
            fprintf(stderr, "sinter: process %ld (%s) cannot pack pages: %s\n", (long)peer->pid, peer->comm,
                    strerror(result));
        well = result == 0 && view_read(&views[count], peer, "after sinter compact");
        count += well;
    }
    if (well && wanted->picture != NULL) {
        well = draw(wanted, peer, views, count);
    } else if (well) {
        printf("process %ld (%s)\n", (long)peer->pid, peer->comm);
        for (size_t i = 0; i < count; i++)
            view_print(&views[i]);
    }
    for (size_t i = 0; i < count; i++)
        map_data_free(&views[i].data);
    return well;
}

int command_map(int argc, char **argv)
{
    const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "Draw a picture, a dot a page, to FILE, .png or .svg", 0},
        {"compact", 'c', NULL, 0, "Show the heap, have the process give back what it can, and show it again",
         0},
        {0},
    };
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PID",
        .doc = "Prints, or draws, what the pages of a process's heap are used for, and how full those of "
               "small blocks "
               "are.\vBlocks with mappings of their own (over 128 MiB) are not counted; `sinter stat' has "
               "them. Blocks in "
               "thread caches count as in use.",
    };
    struct wanted wanted = {0};
    struct peer peer;
    argp_parse(&argp, argc, argv, 0, NULL, &wanted);
    if (peer_open(&peer, wanted.pid, false) != 0)
        return STATUS_FAILED;
    bool well = map(&wanted, &peer);
    peer_close(&peer);
    return well ? 0 : STATUS_FAILED;
}
