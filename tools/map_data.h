/*
 * What each page of a process's heap is used for, read from it (alloc/map.h): for `sinter map`, and for pictures.
 */
#ifndef SINTER_MAP_DATA_H
#define SINTER_MAP_DATA_H

#include "map.h"
#include "peer.h"

/* The zones lie at different addresses and have nothing to do with each other; a page's place is its index. */
struct map_data_zone {
    size_t count; /* pages */
    struct map_page *pages;
};

struct map_data {
    struct map_data_zone zones[MAP_ZONE_COUNT];
};

/* "spans", ...; what a state is called, and what it means. */
extern const char *const map_zone_names[MAP_ZONE_COUNT];
extern const char *const map_state_names[MAP_STATE_COUNT];
extern const char *const map_state_helps[MAP_STATE_COUNT];

/*
 * Reads all zones. The process goes on meanwhile, so that pages may differ from what their neighbours, read earlier or later, would
 * have them be. False, with a line on stderr, if it does not answer.
 */
bool map_data_read(struct peer *peer, struct map_data *data);
void map_data_free(struct map_data *data);

#endif
