/*
 * Static tracepoints (USDT) at the transitions of pages, for perf, bpftrace and SystemTap:
 *
 *   sinter:move_out  address of the first page, number of pages       they went to their shadow
 *   sinter:pack      address of the page, bytes kept                  only its live slots are left
 *   sinter:return    address of the first page, number, state before  they are coming back
 *   sinter:fault     address of the page, nanoseconds                 a touch was answered
 *
 * A probe that nobody listens to is one no-op instruction.
 */
#ifndef SINTER_PROBES_H
#define SINTER_PROBES_H

#include "base.h"

#if HAVE_SYS_SDT_H
#include <sys/sdt.h>
#define PROBE2(name, a, b)    DTRACE_PROBE2(sinter, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(sinter, name, a, b, c)
#else
/* The arguments are compiled all the same. */
#define PROBE2(name, a, b)    ((void)sizeof(a), (void)sizeof(b))
#define PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

#define PROBE_MOVE_OUT(address, pages)      PROBE2(move_out, address, pages)
#define PROBE_PACK(address, bytes)          PROBE2(pack, address, bytes)
#define PROBE_RETURN(address, pages, state) PROBE3(return, address, pages, state)
#define PROBE_FAULT(address, ns)            PROBE2(fault, address, ns)

#endif
