/* The states of a page, who may change them when, and how a fork gets through: see README.md.
 *
 * One of STEADY (two mutators and the mover), FORK (a thread that forks, a mutator, the mover and the child) and BARE (the
 * same with a bare clone: no handlers run) chooses the configuration; the BREAK_ macros each break one rule. */

#define RESIDENT 0
#define ASIDE 1
#define PACKED 2

/* A page's contents at one of its places: two slots of two bits each; 0 is what a page of zeros holds. */
#define THERE 128
#define SLOT_OF(contents, slot) (((contents) >> (((slot) & 1) * 2)) & 3)
#define WITH_SLOT(contents, slot, value) (((contents) & ~(3 << (((slot) & 1) * 2))) | ((value) << (((slot) & 1) * 2)))
#define MASK_OF(slots) ((((slots) & 1) * 3) | (((slots) >> 1) * 12))
#define PAGE_OF(slot) ((slot) >> 1)
#define NO_SLOT 7

byte arena[2];  /* THERE | contents, or 0: absent */
byte shadow[2];
byte record[2]; /* in the store */
byte entry[2];  /* the mover's alone */
byte bits = 15; /* one a slot: free */
#define present(page) (arena[page] & THERE)

/* A thread's fault, as the kernel keeps it. A thread that has been woken takes its message back when it runs, so the mover
 * may still read it: a stale fault. */
#define NO_FAULT 0
#define UNREAD 1
#define READ 2
#define WOKEN_UNREAD 3
#define WOKEN 4
#define RETRY 5 /* read, not served for EAGAIN; the mover has it on its list */
byte fault[2];
byte fault_page[2];

/* Ghost: the values that were written last. */
byte held[2] = NO_SLOT; /* the slot that each mutator holds */
byte value[2];          /* 0: nothing was written yet */

#ifdef STEADY
#define changing 0
#define frozen 0
#define pending 0
#define unverified 0
#define allocator_locked 0
#define service_locked 0
#define over 0
#define ghost_held NO_SLOT
#define quiet (!due(0) && !due(1))
#else

/* The child's memory, from the kernel's copy on. */
byte child_arena[2];
byte child_shadow[2];
byte child_record[2];
byte child_entry[2];
byte child_bits;
byte child_fault;
byte child_fault_page;
byte child_value;             /* ghost: the forking thread's slot, as of the fork */
byte ghost_held = NO_SLOT;    /* ghost: the other thread's slot, as of the copy of its page */
byte ghost_value;

#define FREE 0
#define BY_MOVER 1
#define BY_FORK 2
byte maintain;            /* holder of the maintain lock */
bool service_locked;      /* held by the mover; the forking thread only passes through */
bool allocator_locked;    /* all of them, held by the forking thread; everybody else holds one for a moment only */
bool frozen;              /* the forking thread's part of it */
bool pending;             /* the mover's part: there is a child to serve */
bool unverified;          /* the chunk's entries may be stale: a page that is present is RESIDENT whatever its entry says */
bool changing;            /* in the kernel: MOVE and COPY answer EAGAIN */
bool fork_event;
bool child_runs;
bool child_dead;
bool doorbell;
#define BY_PARENT 0
#define BY_NOBODY 1
#define BY_ITSELF 2
byte child_served = BY_PARENT; /* whose registration the child's arena has */
/* After the take-over the two processes share nothing, so only one of them is followed: */
bool follow_child;
bool over;                /* the parent is no longer looked at */
#define child_due (pending && (child_fault == UNREAD || child_fault == WOKEN_UNREAD))
#define bell_due (pending && doorbell)
#define death_due (pending && child_dead)
#define quiet (!due(0) && !due(1) && !fork_event && !child_due && !bell_due && !death_due)
#endif

#define due(t) (fault[t] == UNREAD || fault[t] == WOKEN_UNREAD || (fault[t] == RETRY && !changing))

#define woken(f) (f == UNREAD -> WOKEN_UNREAD : ((f == READ || f == RETRY) -> WOKEN : f))
inline wake(at)
{
    if
    :: fault_page[0] == at -> fault[0] = woken(fault[0])
    :: else
    fi;
    if
    :: fault_page[1] == at -> fault[1] = woken(fault[1])
    :: else
    fi
}

/* ---- mutators ---- */

#ifdef LIVE
#define VALUES_CHANGE false
byte wants[2]; /* ghost: 1 + the page that the thread has found absent and not reached yet */
#define is_wanted(thread, what) wants[thread] = what
#else
#define VALUES_CHANGE true
#define is_wanted(thread, what) skip
#endif

/* A thread has found its page absent: it queues its fault, blocks, and is back when somebody has woken it. */
inline block(who, at)
{
    d_step { !present(at) -> fault[who] = UNREAD; fault_page[who] = at; is_wanted(who, 1 + at) };
    d_step { fault[who] == WOKEN || fault[who] == WOKEN_UNREAD -> fault[who] = NO_FAULT; fault_page[who] = 0 }
}

/* One access to the slot that a thread holds: a check of what it reads, or a write. */
#ifdef STEADY
#define MAY_WRITE(thread) (value[thread] == 0 || VALUES_CHANGE)
#else
#define MAY_WRITE(thread) (value[thread] == 0 || (VALUES_CHANGE && value[thread] != 2 && (thread == 1 || child_runs)))
#endif
inline access(thread)
{
    do
    :: atomic {
        present(PAGE_OF(held[thread])) ->
        assert(value[thread] == 0 || SLOT_OF(arena[PAGE_OF(held[thread])], held[thread]) == value[thread]);
        if
        :: value[thread] != 0
        :: MAY_WRITE(thread) ->
           value[thread] = (value[thread] == 1 -> 2 : 1);
           arena[PAGE_OF(held[thread])] = WITH_SLOT(arena[PAGE_OF(held[thread])], held[thread], value[thread])
        fi;
        is_wanted(thread, 0);
        break
    }
    :: block(thread, PAGE_OF(held[thread]))
    od
}

#define take(t, slot) bits & (1 << slot) -> held[t] = slot; bits = bits & ~(1 << slot)

#ifdef STEADY
#define slots(t) :: take(t, 0) :: take(t, 1) :: take(t, 2) :: take(t, 3)
#else
#ifdef SLOT
#define slots(t) :: take(t, SLOT)
#else
#define slots(t) :: take(t, 1) :: take(t, 2) /* the forking thread has slot 0 */
#endif
#endif

/* A slot that is freed: what is left in it is nobody's, so it counts as zeros (fewer states, and a lost write shows),
 * except where a child may still be given it. But a slot that is freed while the kernel copies is free or not in the child:
 * nobody there may count on it. */
#define clear(where) where[PAGE_OF(held[thread])] = WITH_SLOT(where[PAGE_OF(held[thread])], held[thread], 0)
inline release(thread)
{
    d_step {
        held[thread] != NO_SLOT ->
#ifndef STEADY
        ghost_value = ((changing && ghost_held == held[thread]) -> 0 : ghost_value);
        ghost_held = ((changing && ghost_held == held[thread]) -> NO_SLOT : ghost_held);
#endif
        clear(arena);
        if
        :: ghost_held != held[thread] -> clear(shadow); clear(record)
        :: else
        fi;
        bits = bits | (1 << held[thread]);
        held[thread] = NO_SLOT;
        value[thread] = 0
    }
}

proctype mutator(byte t)
{
    {
end_between:
        do
        :: atomic {
            held[t] == NO_SLOT && !allocator_locked ->
            if
            slots(t)
            fi
           }
           access(t)
        :: held[t] != NO_SLOT -> access(t)
        :: release(t)
        :: held[t] == NO_SLOT -> break
        od
    } unless { over }
}

/* ---- the mover ---- */

inline read_fault(who)
{
    page = fault_page[who];
    reader = who;
    fault[who] = (fault[who] == WOKEN_UNREAD -> WOKEN : READ)
}

/* Frees the record of a page that is present. */
inline free_record(at)
{
    assert(record[at] & THERE);
    assert(present(at));
    record[at] = 0
}

/* Makes the entries true again: what is present is RESIDENT. */
inline verify()
{
    d_step {
        !allocator_locked ->
        if
        :: entry[0] == PACKED && present(0) -> free_record(0); entry[0] = RESIDENT
        :: entry[0] == ASIDE && present(0) -> shadow[0] = 0; entry[0] = RESIDENT
        :: else
        fi;
        if
        :: entry[1] == PACKED && present(1) -> free_record(1); entry[1] = RESIDENT
        :: entry[1] == ASIDE && present(1) -> shadow[1] = 0; entry[1] = RESIDENT
        :: else
        fi;
#ifndef STEADY
        unverified = 0
#endif
    }
}

/* Copies an away page of the parent into the pending child. */
inline push(at)
{
#ifdef STEADY
    skip
#else
    d_step {
        child_arena[at] = (child_arena[at] & THERE -> child_arena[at] : (state == ASIDE -> shadow[at] : record[at]));
        child_fault = (child_fault_page == at -> woken(child_fault) : child_fault)
    }
#endif
}

/* Brings back one page of the run; who waits for it is woken when the run is over. */
inline bring(which)
{
#ifndef BREAK_PUSH
    if
    :: pending && state == ASIDE -> push(which)
    :: pending && state == PACKED -> push(which) /* may be left out: the record stays */
    :: !pending || state == PACKED
    fi;
#endif
    if
    :: d_step {
        !changing ->
        assert(state == ASIDE -> shadow[which] & THERE : record[which] & THERE);
        arena[which] = (state == ASIDE -> shadow[which] : record[which]);
        shadow[which] = 0
       }
       if
       :: standing ->
#if !defined(STEADY) && !defined(BREAK_UNVERIFIED)
          unverified = 1;
#endif
          true;
#ifdef BREAK_LOCK_FROZEN
          !allocator_locked
#endif
       :: !standing && state == ASIDE -> entry[which] = RESIDENT
       :: !standing && state == PACKED ->
          entry[which] = RESIDENT;
#if defined(BREAK_FROZEN) || defined(BREAK_PENDING)
          d_step { true -> free_record(which) }
#else
          d_step { !allocator_locked -> free_record(which) }
#endif
       fi
    :: changing ->
#ifdef BREAK_AGAIN
       !changing /* tries until it works */
#else
       again = 1
#endif
    fi
}

inline serve()
{
    if
    :: unverified && !standing -> verify()
    :: else
    fi;
    state = entry[page];
    if
    :: present(page) ->
       assert(standing || state == RESIDENT)
    :: !present(page) && state == RESIDENT ->
       if
       :: d_step { !changing -> arena[page] = THERE }
       :: changing -> again = 1
       fi
    :: !present(page) && state != RESIDENT ->
       bring(page);
       if
       :: !again && entry[1 - page] == state && !present(1 - page) -> around = 1; bring(1 - page)
       :: true
       fi
    fi;
    /* What was moved is woken by the kernel, or, if it answered an error, by the mover. */
    if
    :: d_step { !again || present(page) -> wake(page); if :: around && present(1 - page) -> wake(1 - page) :: else fi }
#ifdef BREAK_WAKE
    :: d_step { !again || present(page) -> skip } /* EEXIST, moved, not woken */
#endif
#ifdef BREAK_STARVE
    :: d_step { again && !present(page) -> wake(page) }
#else
    :: d_step { again && !present(page) -> fault[reader] = (fault[reader] == READ -> RETRY : fault[reader]) }
#endif
    fi;
    d_step { page = 0; state = 0; again = 0; around = 0; standing = 0; reader = 0 }
}

inline move_out(at)
{
#ifdef BREAK_BITS
    early[at] = (bits >> (at * 2)) & 3;
#endif
    if
    :: d_step { !changing -> shadow[at] = arena[at]; arena[at] = 0 };
#ifdef BREAK_EEXIST
       if
       :: entry[at] = ASIDE
       :: true /* EEXIST although it moved, and taken at its word */
       fi
#else
       entry[at] = ASIDE
#endif
    :: changing
    fi
}

inline pack(at)
{
    assert(!present(at));
    assert(shadow[at] & THERE);
    live = (bits & (1 << (at * 2)) -> 0 : 1);
    live = live | (bits & (2 << (at * 2)) -> 0 : 2);
#ifdef BREAK_BITS
    live = 3 & ~early[at];
#endif
    record[at] = (live -> THERE | (shadow[at] & MASK_OF(live)) : 0);
    shadow[at] = 0;
    d_step { entry[at] = (live -> PACKED : RESIDENT); live = 0 }
}

/* A page that came back is left alone for a time; its untimed equal: until who waited for it has reached it. Only liveness
 * needs this. */
#if defined(LIVE) && !defined(BREAK_REST)
#define rested(at) (wants[0] != 1 + at && wants[1] != 1 + at)
#else
#define rested(at) true
#endif

inline compact()
{
    if
    :: unverified -> verify()
    :: else
    fi;
    if
    :: entry[0] == RESIDENT && present(0) && !changing && rested(0) -> move_out(0)
    :: entry[1] == RESIDENT && present(1) && !changing && rested(1) -> move_out(1)
    :: entry[0] == ASIDE -> pack(0)
    :: entry[1] == ASIDE -> pack(1)
    :: true
    fi
}

proctype mover()
{
    byte page, state, live, reader;
    bool standing; /* the entries stand still in this service */
    bool again, around;
#ifdef BREAK_BITS
    byte early[2];
#endif

end_idle:
    do
    :: atomic {
        due(0) || due(1) ->
        /* Every thread whose fault was read has been woken, or is on the list. */
        assert(fault[0] != READ && fault[1] != READ);
        if
        :: due(0) -> read_fault(0)
        :: due(1) -> read_fault(1)
        fi;
#ifndef STEADY
#ifdef BREAK_FROZEN
        standing = pending;
#else
#ifdef BREAK_PENDING
        standing = frozen;
#else
        standing = (frozen || pending);
#endif
#endif
#ifndef BREAK_LOOK
        service_locked = 1
#endif
#endif
       }
#ifdef BREAK_LOOK
       service_locked = 1;
#endif
       serve();
#ifndef STEADY
       service_locked = 0
#endif

#ifdef STEADY
    :: quiet -> compact()
#else
    :: d_step { /* the event is read, which lets the forking thread go, and noted, under the service lock */
        fork_event -> fork_event = 0; changing = 0;
#ifndef BREAK_READ
        service_locked = 1
#endif
       }
       d_step { pending = 1; service_locked = 0 }
    :: atomic {
        quiet && maintain == FREE && !frozen && !pending && child_served != BY_NOBODY ->
        assert(fault[0] != READ && fault[1] != READ && child_fault != READ);
        maintain = BY_MOVER
       }
       compact();
       maintain = FREE
#ifdef BREAK_TRY
    :: quiet && maintain != FREE -> maintain == FREE
#endif
    :: atomic { /* the child's own fault */
        child_due ->
        assert(child_fault != READ);
        page = child_fault_page;
        child_fault = (child_fault == WOKEN_UNREAD -> WOKEN : READ)
       }
       d_step {
        state = entry[page];
        if
        :: child_arena[page] & THERE
        :: else ->
           assert(state != ASIDE || (shadow[page] & THERE));
           assert(state != PACKED || (record[page] & THERE));
           child_arena[page] = (state == ASIDE -> shadow[page] : (state == PACKED -> record[page] : THERE))
        fi;
        child_fault = (child_fault_page == page -> woken(child_fault) : child_fault);
        page = 0;
        state = 0
       }
    :: d_step { /* the child is gone: the copy answers ESRCH */
        death_due -> pending = 0; child_arena[0] = 0; child_arena[1] = 0; child_shadow[0] = 0; child_shadow[1] = 0;
        child_record[0] = 0; child_record[1] = 0; child_entry[0] = 0; child_entry[1] = 0; child_bits = 0;
        child_fault = NO_FAULT; child_fault_page = 0; ghost_held = NO_SLOT; ghost_value = 0; child_value = 0;
       }
    :: atomic {
        bell_due ->
        if
        :: follow_child = 1
        :: follow_child = 0
        fi
       }
       d_step { /* take-over: from here on this process is the child's mover, or the child is no longer looked at */
        pending = 0; doorbell = 0;
        if
        :: follow_child ->
           over = 1;
           arena[0] = child_arena[0]; arena[1] = child_arena[1];
           shadow[0] = child_shadow[0]; shadow[1] = child_shadow[1];
           record[0] = child_record[0]; record[1] = child_record[1];
           entry[0] = child_entry[0]; entry[1] = child_entry[1];
           bits = child_bits;
#ifdef LIVE
           wants[0] = 0; wants[1] = 0;
#endif
           fault[0] = NO_FAULT; fault[1] = NO_FAULT; fault_page[0] = 0; fault_page[1] = 0;
           held[0] = 0; value[0] = child_value; held[1] = ghost_held; value[1] = ghost_value;
           maintain = FREE; allocator_locked = 0; frozen = 0;
#ifdef BREAK_VERIFY
           unverified = 0
#else
           unverified = 1
#endif
        :: else
        fi;
        child_arena[0] = 0; child_arena[1] = 0; child_shadow[0] = 0; child_shadow[1] = 0;
        child_record[0] = 0; child_record[1] = 0; child_entry[0] = 0; child_entry[1] = 0; child_bits = 0;
        ghost_held = NO_SLOT; ghost_value = 0; child_value = 0;
        child_served = BY_NOBODY
       }
    :: child_served == BY_NOBODY && over -> child_served = BY_ITSELF
#endif
    od
}

#ifndef STEADY

/* ---- the thread that forks ---- */

#define copy(what) child_##what[0] = what[0]; child_##what[1] = what[1]
/* What is not the arena, in one order or the other. */
inline copy_tables()
{
    if
    :: d_step { copy(shadow); copy(record) };
       d_step { copy(entry); child_bits = bits }
    :: d_step { copy(entry); child_bits = bits };
       d_step { copy(shadow); copy(record) }
    fi
}

inline note_ghost(at)
{
    if
    :: held[1] != NO_SLOT && PAGE_OF(held[1]) == at && value[1] != 0 -> ghost_held = held[1]; ghost_value = value[1]
    :: else
    fi
}

proctype forker()
{
    {
        do
        :: access(0)
        :: break
        od;
#ifndef BARE
        atomic { maintain == FREE -> maintain = BY_FORK };
        frozen = 1;
        !service_locked;
        allocator_locked = 1;
        if
        :: access(0) /* the C library on its way to the system call */
        :: true
        fi;
#endif
        true; /* (no jump into a d_step) */
#ifdef TABLES_FIRST
        copy_tables();
#endif
        /* The kernel copies the arena; from here to the reading of the event MOVE and COPY answer EAGAIN. */
        d_step { changing = 1; child_value = value[0]; child_arena[0] = arena[0]; note_ghost(0) };
        d_step { child_arena[1] = arena[1]; note_ghost(1) };
#if !defined(BARE) && !defined(TABLES_FIRST)
        copy_tables();
#endif
        if
        :: fork_event = 1;
           d_step { !fork_event -> child_runs = 1 }
        :: d_step { /* the system call fails */
            changing = 0; child_arena[0] = 0; child_arena[1] = 0; child_shadow[0] = 0; child_shadow[1] = 0;
            child_record[0] = 0; child_record[1] = 0; child_entry[0] = 0; child_entry[1] = 0; child_bits = 0;
            ghost_held = NO_SLOT; ghost_value = 0; child_value = 0;
           }
        fi;
#ifndef BARE
        allocator_locked = 0;
        maintain = FREE;
        frozen = 0;
        !service_locked; /* the mover has noted the child, if there is one */
        if
        :: atomic { !pending -> assert(!child_runs || child_dead || child_served != BY_PARENT) } /* it may exit now */
        :: true /* gives up */
        fi;
#endif
        do
        :: access(0)
        :: break
        od
    } unless { over }
}

/* ---- the child's thread ---- */

/* A look before the take-over at the thread's own slot or at the other thread's, of which it has a copy. */
inline child_look(slot, is)
{
    do
    :: d_step {
        child_arena[PAGE_OF(slot)] & THERE -> assert(SLOT_OF(child_arena[PAGE_OF(slot)], slot) == is)
       }
       break
    :: d_step { !(child_arena[PAGE_OF(slot)] & THERE) -> child_fault = UNREAD; child_fault_page = PAGE_OF(slot) };
       d_step { child_fault == WOKEN || child_fault == WOKEN_UNREAD -> child_fault = NO_FAULT; child_fault_page = 0 }
    od
}

proctype child()
{
end_unborn:
    child_runs;
    do
    :: child_look(0, child_value)
    :: d_step {
        child_value == 1 && (child_arena[0] & THERE) ->
        child_value = 2; child_arena[0] = WITH_SLOT(child_arena[0], 0, child_value)
       }
    :: ghost_held != NO_SLOT -> child_look(ghost_held, ghost_value)
    :: child_dead = 1; goto end_dead
    :: break
    od;
#ifdef BARE
    goto end_dead;
#endif
    doorbell = 1;
    child_served != BY_PARENT;
    if
    :: !follow_child -> goto end_dead
    :: else
    fi;
#ifndef BREAK_GAP
    child_served == BY_ITSELF;
#endif
end_on:
    do
    :: child_served == BY_ITSELF && held[0] != NO_SLOT -> access(0)
    :: child_served == BY_ITSELF && held[1] != NO_SLOT && value[1] != 0 -> access(1)
#ifdef BREAK_GAP
    :: atomic { /* nobody has registered the page: the kernel puts a page of zeros there */
        child_served == BY_NOBODY ->
        arena[0] = (present(0) -> arena[0] : THERE);
        assert(value[0] == 0 || SLOT_OF(arena[0], 0) == value[0])
       }
#endif
    :: release(0)
    :: atomic { held[0] == NO_SLOT -> take(0, 0) }
    :: break
    od;
end_dead:
    skip
}
#endif

init
{
    atomic {
        arena[0] = THERE;
        arena[1] = THERE;
#ifdef STEADY
        run mutator(0);
        run mutator(1);
#else
        arena[0] = THERE | 1;
        held[0] = 0;
        value[0] = 1;
        bits = 14;
        run mutator(1);
        run forker();
        run child();
#endif
        run mover()
    }
}

#ifdef LIVE
#ifdef STEADY
ltl live { ([]<> (wants[0] == 0)) && ([]<> (wants[1] == 0)) }
#else
#define forking (frozen || changing)
ltl live { ([]<> !forking) && ([]<> (wants[0] == 0)) && ([]<> (wants[1] == 0)) &&
           ([]<> (child_fault == NO_FAULT)) && ([]<> !doorbell) && ([]<> (child_served != BY_NOBODY || !follow_child)) }
#endif
#endif
