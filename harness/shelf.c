#include "harness/shelf.h"

#include "engine/base/fail.h"
#include "engine/base/file.h"
#include <unistd.h>

int shelf_error(int rc)
{
    return cli_error(rc == ERR_INVALID ? EXIT_USAGE : EXIT_ENVIRONMENT);
}

int shelf_open(struct shelf *s)
{
    struct text path = {0};
    int missing, rc;

    s->filter.run = s->run;
    if ((rc = cli_db_path(&path, s->db_option)) < 0) return cli_error(EXIT_USAGE);
    missing = access(text_get(&path), F_OK) != 0;
    rc = store_open_readonly(&s->db, text_get(&path));
    text_clear(&path);
    if (rc == 0) return EXIT_DONE;
    return missing ? cli_error(EXIT_USAGE) : shelf_error(rc);
}

int shelf_spares(const struct shelf *s, const char *path)
{
    struct text db = {0};
    int rc = cli_db_path(&db, s->db_option);

    if (rc == 0 && path && file_same(text_get(&db), path))
        rc = fail(ERR_INVALID, "%s: is the database; write to a file of another name", path);
    text_clear(&db);
    return rc;
}

int shelf_nothing(const struct shelf *s)
{
    fail(ERR_INVALID, "no trial matches%s%s%s%s%s%s; `ivfbench export --format table` shows all",
         s->filter.spec ? " --spec " : "", s->filter.spec ? s->filter.spec : "",
         s->filter.dataset ? " --dataset " : "", s->filter.dataset ? s->filter.dataset : "",
         s->filter.index ? " --index " : "", s->filter.index ? s->filter.index : "");
    return cli_error(EXIT_NOTHING);
}
