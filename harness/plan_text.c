/* A plan in words, for the verbs that show one. */
#include "harness/plan.h"

void plan_summary(const struct plan *p, struct text *out)
{
    text_addf(out, "%d trial%s in %d group%s; %d to run", p->ntrials, p->ntrials == 1 ? "" : "s",
              p->ngroups, p->ngroups == 1 ? "" : "s", p->runnable);
    if (p->by_rule) text_addf(out, ", %d skipped by rule", p->by_rule);
    if (p->later) text_addf(out, ", %d with a later version", p->later);
    if (p->no_fit) text_addf(out, ", %d too large for this machine", p->no_fit);
}

void plan_idle_excludes(const struct plan *p, struct text *out)
{
    for (int i = 0; i < p->spec->nexclude; i++) {
        if (p->excluded[i]) continue;
        text_add(out, p->spec->exclude[i].line ? p->spec->path : "--set");
        if (p->spec->exclude[i].line) text_addf(out, ":%d", p->spec->exclude[i].line);
        text_addf(out, ": note: exclude[%d] matches no trial\n", i);
    }
}
