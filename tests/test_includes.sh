# Includes run one way: a line per folder says what it may include, and everything else is named.
set -u

# Reads "file:line:#include "header"" lines; prints those that break the law.
breaches() {
    while IFS= read -r line; do
        file=${line%%:*}
        header=${line#*\"}
        header=${header%%\"*}
        case "$file > $header" in
        "tests/"*" > tests/"* | "tests/"*" > "[ehkrp]*/*) ;;
        *" > tests/"*) echo "$line" ;;
        "engine/base/"*" > engine/base/"*) ;;
        "engine/base/"*) echo "$line" ;;
        "engine/"*" > engine/"*) ;;
        "kernels/"*" > kernels/"*) ;;
        "kernels/"*" > engine/backend.h" | "kernels/"*" > engine/terms.h") ;;
        "kernels/"*" > engine/synthetic_tables.h" | "kernels/"*" > engine/base/"*) ;;
        "results/"*" > results/"* | "results/"*" > engine/base/"*) ;;
        "results/"*" > schema_sql.h") ;;
        "plots/"*" > plots/"* | "plots/"*" > engine/base/"*) ;;
        "plots/"*" > "*_gp.h | "plots/"*" > "*_css.h) ;;
        "harness/"*" > harness/"* | "harness/"*" > engine/"*) ;;
        "harness/"*" > kernels/kernels.h") ;;
        "harness/"*" > results/"* | "harness/"*" > plots/"*) ;;
        "harness/"*" > version.h") ;;
        *) echo "$line" ;;
        esac
    done
}

# The judge first: each of these must be refused.
judged=$(
    breaches <<'END'
engine/ivf.c:3:#include "harness/spec.h"
engine/ivf.c:3:#include "kernels/kernels.h"
engine/base/mem.c:3:#include "engine/terms.h"
kernels/cpu/knn.c:3:#include "engine/ivf.h"
results/store.c:3:#include "engine/ivf.h"
results/store.c:3:#include "plots/plot.h"
plots/plot.c:3:#include "results/export.h"
harness/run.c:3:#include "kernels/cpu/cpu.h"
engine/ivf.c:3:#include "tests/ref.h"
engine/ivf.c:3:#include "backend.h"
END
)
if [ "$(printf '%s\n' "$judged" | wc -l)" != 10 ]; then
    echo "this test lets breaches pass; of ten it saw:"
    printf '%s\n' "$judged"
    exit 1
fi

includes=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' \
    --include='*.cu' --include='*.cuh' engine kernels results plots harness tests)
if [ -z "$includes" ]; then
    echo "no include found: run this from the top folder"
    exit 1
fi
found=$(printf '%s\n' "$includes" | breaches)
if [ -n "$found" ]; then
    echo "these includes go against the arrows (CONTRIBUTING.md, The include law):"
    printf '%s\n' "$found"
    exit 1
fi
