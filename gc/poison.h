/*
 * With `verify`: the addresses that objects have left are poisoned, so that whoever still has one dies with a message.
 */
#ifndef SINTER_GC_POISON_H
#define SINTER_GC_POISON_H

#include "heap.h"

/* Notes which addresses are left in this cycle, whose plan is still there. */
void poison_note(sinter_gc_heap *heap);

/* Poisons those that are empty. Mutators stand still, and nothing moves. */
void poison_left(sinter_gc_heap *heap);

/* The block comes to this window: it is usable there. */
void poison_clear(sinter_gc_heap *heap, uint32_t block, unsigned window);

/* A touch of this address of the heap's has raised SIGBUS. If it is poisoned, the program ends with a message. */
void poison_check(const sinter_gc_heap *heap, const char *address);

#endif
