#include "stats_report.h"

const struct stats_field stats_fields[STATS_FIELDS] = {
#define X(field, unit, kind, help)                                                                           \
    {#field, STATS_##unit, STATS_##kind, offsetof(struct sinter_stats, field), help},
    STATS_TABLE(X)
#undef X
};

#define X(field, unit, kind, help) +1
_Static_assert(STATS_TABLE(X) == STATS_FIELDS, "a field lacks its row");
#undef X

static const char *const units[] = {[STATS_BYTES] = "B ", [STATS_NUMBER] = "  ", [STATS_NANOSECONDS] = "ns"};

uint64_t stats_value(const struct sinter_stats *stats, const struct stats_field *field)
{
    return *(const uint64_t *)((const char *)stats + field->offset);
}

static void text_row(struct fmt *f, const struct stats_class *c)
{
    uint64_t room = (uint64_t)c->spans * (SPAN_BYTES / c->size);
    fmt_print(f, "  %8u %12lu %12lu %10u %5lu%%\n", c->size, c->live, c->cached, c->spans,
              c->live * 100 / room);
}

void stats_report_text(struct fmt *f, const struct stats_report *report)
{
    fmt_print(f, "sinter %s, process %u\n", report->version, report->process);
    for (size_t i = 0; i < STATS_FIELDS; i++)
        fmt_print(f, "  %-14s %16lu %s  %s\n", stats_fields[i].name,
                  stats_value(&report->totals, &stats_fields[i]), units[stats_fields[i].unit],
                  stats_fields[i].help);
    if (report->lack[0] != '\0')
        fmt_print(f, "  pages are not packed: %s\n", report->lack);
    fmt_print(f, "  %8s %12s %12s %10s %6s\n", "class", "allocated", "cached", "spans", "used");
    for (uint32_t i = 0; i < report->classes; i++)
        text_row(f, &report->rows[i]);
}

void stats_report_json(struct fmt *f, const struct stats_report *report)
{
    fmt_print(f, "{\"version\":\"%s\",\"pid\":%u", report->version, report->process);
    for (size_t i = 0; i < STATS_FIELDS; i++)
        fmt_print(f, ",\"%s\":%lu", stats_fields[i].name, stats_value(&report->totals, &stats_fields[i]));
    if (report->lack[0] != '\0')
        fmt_print(f, ",\"compactor_lack\":\"%s\"", report->lack);
    fmt_print(f, ",\"classes\":[");
    for (uint32_t i = 0; i < report->classes; i++) {
        const struct stats_class *c = &report->rows[i];
        fmt_print(f, "%s{\"size\":%u,\"allocated\":%lu,\"cached\":%lu,\"spans\":%u}", i > 0 ? "," : "",
                  c->size, c->live, c->cached, c->spans);
    }
    fmt_print(f, "]}\n");
}
