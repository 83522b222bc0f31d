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
 * Moves the chunk's pages out that are sparse enough and cold; with `force`, whatever is not in the kernel's way, and with
 * `all` however full. Returns how many.
 */
size_t evacuate_chunk(uint32_t chunk, bool force, bool all);

enum evacuate_result { EVACUATE_DONE, EVACUATE_INTERRUPTED, EVACUATE_NO_MEMORY };

/* Packs the chunk's pages that are aside. If there is no memory for their records they come back. */
enum evacuate_result evacuate_pack(uint32_t chunk);

/* Drops packed pages of the chunk whose slots are all free by now, and makes the records of others smaller. */
void evacuate_shrink(uint32_t chunk);

/* Cleans a segment of the store, if that is worth it. Returns whether it was. */
bool evacuate_clean_store(void);

#endif
