#include "harness/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "harness/cli.h"
#include "harness/run.h"

enum { BAR = 20 };
static const int64_t DRAW_NS = 100000000; /* ten times a second is as fast as anybody reads */

void progress_begin(struct progress *p, int total, int quiet)
{
    *p = (struct progress){.quiet = quiet, .total = total, .began_ns = clock_ns()};
    p->bar = !quiet && cli_terminal(STDERR_FILENO);
}

static void add_bar(struct text *out, double share)
{
    int full = (int)(share * BAR + 0.5);

    text_add(out, "[");
    for (int i = 0; i < BAR; i++)
        text_add(out, i < full ? "#" : "-");
    text_add(out, "]");
}

static void add_left(struct text *out, double seconds)
{
    int64_t s = (int64_t)(seconds + 0.5);

    if (s >= 3600)
        text_addf(out, "  %lld:%02lld:%02lld left", (long long)(s / 3600), (long long)(s / 60 % 60),
                  (long long)(s % 60));
    else
        text_addf(out, "  %lld:%02lld left", (long long)(s / 60), (long long)(s % 60));
}

void progress_format(struct text *out, const struct progress *p, const char *label, int64_t done,
                     int64_t total, double stage_s, double all_s, int width)
{
    double share = total > 0 ? (double)done / (double)total : (double)p->done / p->total;

    add_bar(out, share);
    text_addf(out, " %d/%d  %s  %s", p->done, p->total, label, p->stage);
    if (total > 0) text_addf(out, " %lld/%lld", (long long)done, (long long)total);
    if (total > 0 && done > 0 && stage_s > 0) {
        text_addf(out, "  %.3g/s", (double)done / stage_s);
        add_left(out, stage_s / share - stage_s);
    } else if (total == 0 && p->done > 0) {
        add_left(out, all_s / share - all_s);
    }
    if (out->len > width) {
        out->len = width;
        out->s[width] = '\0';
    }
}

static int terminal_width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

void progress_clear(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = 0;
}

void progress_stage(struct progress *p, const char *label, const char *stage, int64_t done,
                    int64_t total)
{
    int64_t now = clock_ns();
    struct text line = {0};

    if (strcmp(p->stage, stage) != 0) {
        snprintf(p->stage, sizeof p->stage, "%s", stage);
        p->stage_began_ns = now;
    }
    if (!p->bar || now - p->drawn_ns < DRAW_NS) return;
    p->drawn_ns = now;
    progress_format(&line, p, label, done, total, (double)(now - p->stage_began_ns) / 1e9,
                    (double)(now - p->began_ns) / 1e9, terminal_width());
    if (!text_failed(&line)) fprintf(stderr, "\r\033[K%s", text_get(&line));
    p->shown = 1;
    text_clear(&line);
}

void progress_note(struct progress *p, const char *text)
{
    if (p->quiet) return;
    progress_clear(p);
    fprintf(stderr, "%s\n", text);
}

void progress_trial(struct progress *p, const char *name, enum store_status status,
                    const char *text)
{
    int fault = status != STATUS_OK && status != STATUS_SKIPPED;
    int red = fault && cli_colour(STDERR_FILENO);

    p->done++;
    p->stage[0] = '\0';
    if (!fault && (p->quiet || p->bar)) return;
    progress_clear(p);
    fprintf(stderr, "%d/%d  %s  %s%s%s  %s\n", p->done, p->total, name, red ? "\033[1;31m" : "",
            run_status_name(status), red ? "\033[0m" : "", text);
}
