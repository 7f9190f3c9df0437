#!/bin/sh
# What must hold before a change is merged. DECISIONS names logged decisions: the `decisions` folder of a store, or a file with one record a line.
set -eu
countersign policy check --strict policy
countersign policy test --fail-on-empty --threshold "${MIN_COVERAGE:-90}" policy
countersign policy matrix --check policy
if [ -n "${DECISIONS:-}" ]; then
  countersign policy diff "${BASE:-origin/main}" HEAD --within policy --log "$DECISIONS" \
    --max-new-denies "${MAX_NEW_DENIES:-0.1%}" --max-new-allows "${MAX_NEW_ALLOWS:-0}" --html policy-diff.html
fi
