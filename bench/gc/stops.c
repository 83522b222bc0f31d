#include "stops.h"

#include "utilisation.h"

enum { MS = 1000000 };

static struct durations stops;
static struct gaps gaps;
static uint64_t began;
static bool watched;

void stops_watch(void)
{
    gaps_begin(&gaps, now_ns());
    watched = true;
}

void stop_began(void)
{
    began = now_ns();
}

void stop_ended(void)
{
    uint64_t now = now_ns();
    durations_add(&stops, now - began);
    gaps_add(&gaps, began, now);
}

/* Nothing, if so long was not watched. */
static void report_utilisation(struct report *report, const char *key, uint64_t window)
{
    if (gaps.end - gaps.begin >= window)
        report_ratio(report, key, gaps_least_utilisation(&gaps, window));
}

void report_stops(struct report *report)
{
    if (!watched)
        return;
    gaps_end(&gaps, now_ns());
    report_durations(report, "pause", &stops);
    report_utilisation(report, "utilisation_10", 10 * MS);
    report_utilisation(report, "utilisation_100", 100 * MS);
}
