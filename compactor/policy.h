/*
 * When to pack: how much there is to gain, whether the program has settled, and what packing costs it.
 */
#ifndef SINTER_POLICY_H
#define SINTER_POLICY_H

#include "base.h"

/* Looks at all spans, if it is time to: what is live, what is resident, what has changed. Returns whether it did. */
bool policy_look(uint64_t now);

/* Milliseconds until the next look. */
int64_t policy_until_look(uint64_t now);

/* As of the last look: is there anything worth packing, now or when the program has settled? */
bool policy_worth(void);

/* As of the last look: should a pass over all chunks be made now? */
bool policy_start_pass(uint64_t now);

/* A pass has ended that moved so many pages out. */
void policy_pass_done(uint64_t now, size_t moved);

/* Bytes that packing could save at most, from a look now, without changing anything. On any thread. */
bool policy_worth_now(void);

/* The system is short of memory: what little there is to gain counts, and nothing waits. */
void policy_pressure(uint64_t now);

/* No packing until policy_release(). */
void policy_hold(void);
void policy_release(void);
bool policy_held(void);

#endif
