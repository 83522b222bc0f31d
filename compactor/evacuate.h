/*
 * Moving sparse pages out, packing them, and dropping what has died. All with the maintain lock held and nothing frozen;
 * faults are served in between.
 */
#ifndef SINTER_EVACUATE_H
#define SINTER_EVACUATE_H

#include "base.h"

struct evacuate_counters {
    _Atomic uint64_t moved_out, packed;
};

extern HIDDEN struct evacuate_counters evacuate_counters;

/*
 * Moves pages of `n` spans, all of one chunk, out that are sparse enough and cold; with `force`, whatever is not in the
 * kernel's way, and with `all` however full. Returns how many.
 */
size_t evacuate_spans(uint32_t first, uint32_t n, bool force, bool all);

enum evacuate_result { EVACUATE_DONE, EVACUATE_INTERRUPTED, EVACUATE_NO_MEMORY };

/*
 * Packs at most `most` of the chunk's pages that are aside, and unmaps its shadow when no page is left there. If there is no
 * memory for records all of them come back.
 */
enum evacuate_result evacuate_pack(uint32_t chunk, uint32_t most);

/* Drops packed pages of the chunk whose slots are all free by now, and makes the records of others smaller. */
void evacuate_shrink(uint32_t chunk);

/* Cleans a segment of the store, if that is worth it. Returns whether it was. */
bool evacuate_clean_store(void);

#endif
