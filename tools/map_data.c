#include "map_data.h"

#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_S = 10 };

const char *const map_zone_names[MAP_ZONE_COUNT] = {
    [MAP_SPANS] = "spans", [MAP_RUNS] = "runs", [MAP_GUARD] = "guarded"};

const char *const map_state_names[MAP_STATE_COUNT] = {
#define X(state, name, help) [MAP_##state] = name,
    MAP_STATES(X)
#undef X
};

const char *const map_state_helps[MAP_STATE_COUNT] = {
#define X(state, name, help) [MAP_##state] = help,
    MAP_STATES(X)
#undef X
};

/* Room for the zone as large as the process says it is. False if that cannot be. */
static bool make_room(struct map_data_zone *zone, uint64_t pages, size_t *room)
{
    if (pages > ZONE_MAX / PAGE_BYTES)
        return false;
    if (pages <= *room)
        return true;
    struct map_page *more = realloc(zone->pages, pages * sizeof(*more));
    if (more == NULL)
        return false;
    zone->pages = more;
    *room = pages;
    return true;
}

/* Puts a part behind what is there. False if the process has sent something else. */
static bool append(struct map_data_zone *zone, const struct map_part *part, size_t length, size_t *room)
{
    if (length < sizeof(*part) || part->count > (length - sizeof(*part)) / sizeof(part->pages[0]))
        return false;
    uint64_t pages =
        part->zone_pages > zone->count + part->count ? part->zone_pages : zone->count + part->count;
    if (!make_room(zone, pages, room))
        return false;
    for (uint32_t i = 0; i < part->count; i++) {
        struct map_page page = part->pages[i];
        if (page.state >= MAP_STATE_COUNT)
            page.state = MAP_UNUSED;
        zone->pages[zone->count++] = page;
    }
    return true;
}

static bool read_zone(struct peer *peer, enum map_zone number, struct map_data_zone *zone)
{
    static union {
        struct map_part part;
        char bytes[CONTROL_BYTES];
    } reply;
    size_t room = 0;
    do {
        int result = peer_call(peer, CONTROL_MAP, map_argument(number, zone->count), NULL, ANSWER_S);
        size_t length = result == 0 ? peer_window(peer, &reply, sizeof(reply)) : 0;
        if (result > 0)
            fprintf(stderr, "sinter: process %ld cannot say: %s\n", (long)peer->pid, strerror(result));
        if (result != 0)
            return false;
        if (!append(zone, &reply.part, length, &room)) {
            fprintf(stderr, "sinter: process %ld answers something that is not understood\n",
                    (long)peer->pid);
            return false;
        }
    } while (reply.part.count > 0 && zone->count < reply.part.zone_pages);
    return true;
}

bool map_data_read(struct peer *peer, struct map_data *data)
{
    *data = (struct map_data){0};
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
        if (!read_zone(peer, (enum map_zone)zone, &data->zones[zone])) {
            map_data_free(data);
            return false;
        }
    }
    return true;
}

void map_data_free(struct map_data *data)
{
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++)
        free(data->zones[zone].pages);
    *data = (struct map_data){0};
}
