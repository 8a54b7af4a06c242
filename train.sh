#!/usr/bin/env bash
# Train: one command per step, expected time and figure beside it. Further flags are passed on:
#   bash train.sh language --seed 1
#   bash train.sh whole-night
set -euo pipefail
cd "$(dirname "$0")"

DATA=${DATA:-../shared/data} # folder of the open hypnograms, see preprocess/hypnograms.py
OUT=${OUT:-runs}
PYTHON=${PYTHON:-python}
WHAT=${1:-language}
shift || true

case "$WHAT" in
# The stage language model, one shift, begun with the published weights (main_weights.py get
# sleepgpt-shhs-90). One thread, 3 minutes; 0.35 nats on held-out people, all sources.
language)
    "$PYTHON" main_train_slm.py --data "$DATA" --out "$OUT/slm" --n-passes 4 "$@"
    ;;
# The same with all the night has been so far: 5 minutes; the best figure here.
whole-night)
    "$PYTHON" main_train_slm.py --data "$DATA" --out "$OUT/slm-night" --preset night \
        --lr 3e-4 --fresh-factor 6.7 --weight-decay 0.1 --n-passes 6 "$@"
    ;;
# Four classes, W L D R.
four)
    "$PYTHON" main_train_slm.py --data "$DATA" --out "$OUT/slm-4" --classes 4 --lr 3e-4 --n-passes 3 "$@"
    ;;
# From scratch, 120 epochs of context, in the published schedule.
scratch)
    "$PYTHON" main_train_slm.py --data "$DATA" --out "$OUT/slm-scratch" --init "" --preset paper-120 \
        --lr 1e-3 --n-passes 20 --schedule cos "$@"
    ;;
# The labels moved twice, as published, to compare with the published weights: never for use.
lag2)
    "$PYTHON" main_train_slm.py --data "$DATA" --out "$OUT/slm-lag2" --init "" --lag2 \
        --dropout 0.1 --n-passes 20 --schedule cos "$@"
    ;;
# Every line above as a trial on one source, two minutes.
dry)
    for step in language whole-night four scratch lag2; do
        OUT=$(mktemp -d) bash "$0" "$step" --dry-run
    done
    ;;
*)
    echo "train.sh: no step '$WHAT'; there are language whole-night four scratch lag2 dry" >&2
    exit 2
    ;;
esac
