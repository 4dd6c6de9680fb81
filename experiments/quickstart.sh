#!/bin/sh
# From a fresh clone to a table and a picture: installs what is missing, builds ivfbench into
# build/, runs quickstart.yaml on the CPU. A second call finds all of it done.
set -eu
cd "$(dirname "$0")/.."
. experiments/setup.sh

out=build/quickstart
install_packages $build_packages
build_preset release ivfbench
build/ivfbench run experiments/quickstart.yaml --db $out/quickstart.db --out $out

say "every sample, for SQL or export:  $out/quickstart.db"
say "the whole run on a page:          $out/report.html"
say "recall against speed:             $out/recall_qps.svg"
