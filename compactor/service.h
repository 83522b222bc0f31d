/*
 * The fault service: brings pages back when they are touched.
 *
 * A touch of a page that is away is answered with the page and its neighbours in an aligned group, as far as they are in
 * the same state; if touches come in floods, with the whole chunk. What has to be copied comes after the page itself, when
 * nobody waits (bulk.h). None of it takes a
 * lock that a thread might hold while it touches memory: only the service's own, which fork's prepare handler passes through
 * so that no answer is half written down when the child is made.
 */
#ifndef SINTER_SERVICE_H
#define SINTER_SERVICE_H

#include "base.h"
#include "family.h"
#include "faults.h"
#include "histogram.h"
#include "uffd.h"

struct service_counters {
    _Atomic uint64_t faults;   /* on pages that were away */
    _Atomic uint64_t fresh;    /* on pages that had nothing */
    _Atomic uint64_t returned; /* pages brought back */
    _Atomic uint64_t stall_ns; /* sum of all waiting */
};

extern HIDDEN struct uffd service_uffd;
extern HIDDEN struct faults service_faults;
extern HIDDEN struct service_counters service_counters;
extern HIDDEN struct histogram service_stalls;

/* Once service_uffd is open. */
void service_start_family(void);

/* After a fork, in the child. */
void service_reset(void);

/*
 * Reads and answers what has come: faults here and in children. `since`, nanoseconds, is when it was last known that
 * nothing had: waiting is counted from then. Returns whether there was anything.
 */
bool service_drain(uint64_t since);

/* Whose fault was answered last, 0 if that is not known. */
uint32_t service_last_thread(void);

/*
 * The same between pieces of other work. A thread that is woken stays on this CPU if it was here last, even if another one is
 * idle: it goes first, before its page can be packed again.
 */
void service_breathe(void);

/* The program does little but wait for pages. */
bool service_is_flooded(void);

/* Has this page of the doorbell been touched in this process? Answering forgets that. */
bool service_bell_rung(enum bell bell);
void service_bell_answer(enum bell bell);

/* Brings back pages [first, first + n), at most SERVICE_RUN, all in one chunk; those that are here stay as they are. */
enum { SERVICE_RUN = 16 };
void service_bring_back(uint32_t first, uint32_t n);

/* The same where the maintain lock is not held: not while anything is frozen, which makes it return false. */
bool service_try_bring_back(uint32_t first, uint32_t n);

/* Looks which pages of an unverified chunk are present. Nothing may be frozen. False if the system cannot say. */
bool service_verify(uint32_t chunk);

/* Fork's prepare handler: waits for an answer that is under way. */
void service_pass(void);

#endif
