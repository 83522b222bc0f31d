#include "doctor_report.h"

#include "sinter/malloc.h"

#include <stdarg.h>
#include <stdlib.h>

static const char *const states[] = {
    [CHECK_OK] = "ok", [CHECK_NOTE] = "note", [CHECK_LIMITED] = "limited", [CHECK_MISSING] = "missing"};

char *doctor_text(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length >= 0)
        return text;
    fputs("sinter doctor: out of memory\n", stderr);
    exit(VERDICT_UNKNOWN);
}

struct check *report_add(struct report *report, const char *key, const char *name, enum check_state state,
                         char *found)
{
    if (report->count == CHECKS_MOST)
        abort();
    struct check *check = &report->checks[report->count++];
    *check = (struct check){.state = state, .key = key, .name = name, .found = found};
    return check;
}

void check_costs(struct check *check, enum check_state state, char *costs)
{
    check->state = state;
    check->costs = costs;
}

void check_grant(struct check *check, char *line)
{
    if (check->grant_count == GRANTS_MOST)
        abort();
    check->grants[check->grant_count++] = line;
}

enum verdict report_verdict(const struct report *report)
{
    if (!report->tried)
        return VERDICT_UNKNOWN;
    if (!report->packs || report->process_lacks)
        return VERDICT_NO_PACKING;
    for (size_t i = 0; i < report->count; i++) {
        if (report->checks[i].state >= CHECK_LIMITED)
            return VERDICT_LIMITS;
    }
    return VERDICT_ALL;
}

/* ---- as text ---- */

static void print_check(const struct check *check, FILE *out)
{
    enum { INDENT = 28 };
    fprintf(out, "%-8s %-18s %s\n", states[check->state], check->name, check->found);
    if (check->costs != NULL)
        fprintf(out, "%*scosts: %s\n", INDENT, "", check->costs);
    for (size_t i = 0; i < check->grant_count; i++)
        fprintf(out, "%*s%s %s\n", INDENT, "", i == 0 ? "grant:" : "   or:", check->grants[i]);
}

void report_print_text(const struct report *report, FILE *out)
{
    fprintf(out, "%s\n\n", report->situation);
    for (size_t i = 0; i < report->count; i++)
        print_check(&report->checks[i], out);
    fprintf(out, "\n%s\n%s\n", report->packing, report->runtime_heap);
    if (report->process != NULL)
        fprintf(out, "%s\n", report->process);
}

/* ---- as JSON ---- */

static void print_string(const char *text, FILE *out)
{
    if (text == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < ' ')
            fprintf(out, "\\u%04x", *p);
        else
            fprintf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    }
    fputc('"', out);
}

static void print_member(const char *name, const char *text, FILE *out)
{
    fprintf(out, ",\"%s\":", name);
    print_string(text, out);
}

static void print_check_json(const struct check *check, FILE *out)
{
    fprintf(out, "{\"check\":\"%s\",\"state\":\"%s\"", check->key, states[check->state]);
    print_member("found", check->found, out);
    print_member("costs", check->costs, out);
    fputs(",\"grants\":[", out);
    for (size_t i = 0; i < check->grant_count; i++) {
        fputs(i > 0 ? "," : "", out);
        print_string(check->grants[i], out);
    }
    fputs("]}", out);
}

void report_print_json(const struct report *report, FILE *out)
{
    fprintf(out, "{\"version\":\"%s\",\"status\":%d,\"packs\":%s", SINTER_VERSION_STRING,
            (int)report_verdict(report), report->packs ? "true" : "false");
    print_member("situation", report->situation, out);
    print_member("packing", report->packing, out);
    print_member("runtime_heap", report->runtime_heap, out);
    if (report->process != NULL)
        print_member("process", report->process, out);
    fputs(",\"checks\":[", out);
    for (size_t i = 0; i < report->count; i++) {
        fputs(i > 0 ? "," : "", out);
        print_check_json(&report->checks[i], out);
    }
    fputs("]}\n", out);
}
