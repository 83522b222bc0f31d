/*
 * The option `canary`: small blocks end before their slots do, and what lies behind shows at free, realloc and
 * malloc_usable_size whether somebody has written there.
 *
 *     | block: as many bytes as were asked for | pad: 0 to 32 KiB | trailer |
 *
 * The trailer says how long the pad is, in 16 bits, and for the rest depends on that, on the address and on a secret of the
 * process, so that no program can write it by accident. All bytes of the pad are the same. None of the bytes right behind a
 * block is 0, which strings end in.
 */
#ifndef SINTER_CANARY_H
#define SINTER_CANARY_H

#include "base.h"

enum { CANARY_BYTES = 8 }; /* the trailer: how much larger a slot has to be than its block */

/* Is the option on? Or not yet known: true before canary_init(). */
extern HIDDEN bool canary_is_on;

void canary_init(void);

/* Before the program gets a block of `size` bytes. Writes to the slot: no lock may be held. */
void canary_set(void *slot, size_t slot_size, size_t size);

/*
 * The size of the block in a live slot; reports damage in the name of the public function `call`, and repairs it, if the
 * program goes on. It then is at least as large as the block if that is not known any more.
 */
size_t canary_check(void *slot, size_t slot_size, const char *call);

/* As free_sized(3): `size` is what the caller says that the block has. */
void canary_check_size(void *slot, size_t slot_size, size_t size, const char *call);

#endif
