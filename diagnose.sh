#!/usr/bin/env bash
# Diagnose from nights, cross-validated by person: one command per study, published figures beside
# it where there are any. Further flags are passed on:
#   bash diagnose.sh                      simulated people, minutes on a processor
#   bash diagnose.sh mnc --encoders htn statistics-trees
set -euo pipefail
cd "$(dirname "$0")"

STORE=${STORE:-data} # parent of the night stores, as OUT of preprocess.sh
DATA=${DATA:-../shared/data} # open hypnograms
OUT=${OUT:-runs/diagnose}
BACKBONE=${BACKBONE:-runs/lpsgm/best.safetensors} # LPSGM of train.sh, or released weights
PYTHON=${PYTHON:-python}
WHAT=${1:-simulated}
shift || true
CV=("$PYTHON" main_diagnose_cv.py)
SIGNALS=(--backbone "$BACKBONE" --backbone-mode full --stride 5)

case "$WHAT" in
# Known effects, and none: the areas of the first two lie near 1, that of the third near one half.
simulated)
    for disorder in narcolepsy insomnia nothing; do
        "${CV[@]}" --question "simulated-$disorder" --mode frozen --init sleepgpt-open \
            --encoders htn htn-lstm statistics-logistic length --out "$OUT/simulated-$disorder" "$@"
    done
    ;;
# Every line as a trial on a few simulated people, two minutes; then the models asked elsewhere.
dry)
    "${CV[@]}" --dry-run --persons 16 --mode frozen --init "" --out "$OUT/dry" "$@"
    "$PYTHON" main_diagnose_eval.py --dry-run --run "$OUT/dry" --persons 8 --seed 1 \
        --question simulated-insomnia --out "$OUT/dry-elsewhere"
    ;;
# Healthy (DOD-H) against sleep apnea (DOD-O), and young against old (BOAS), from stages alone: what
# was found stands in docs/diagnosis.md.
open)
    for question in dod-apnea boas-age; do
        "${CV[@]}" --question "$question" --data "$DATA" --mode frozen --repeats 2 \
            --out "$OUT/$question" "$@"
    done
    ;;
# SleepGPT: healthy against abnormal on CAP; its tables were not at hand. External: ISRUC.
cap)
    "${CV[@]}" --question cap --nights "$STORE/bb100/CAP" --folds 10 --as-published \
        --encoders htn htn-lstm statistics-trees person length --out "$OUT/cap" "$@"
    "$PYTHON" main_diagnose_eval.py --run "$OUT/cap" --question isruc \
        --nights "$STORE/bb100/ISRUC" --out "$OUT/cap-isruc"
    ;;
# LPSGM: control, type 1, other: accuracy .805, macro F1 .792 (all trained), .767 (head alone)
mnc)
    "${CV[@]}" --question mnc --nights "$STORE/psg9/MNC" --encoders lpsgm lpsgm-logistic \
        "${SIGNALS[@]}" --out "$OUT/mnc" "$@"
    ;;
# LPSGM: type 1 against the rest: AUC .912 (all trained), .907 (head alone), .840 (from scratch),
# every epoch told by itself, as the older form of the published code. External: HANG7.
mnc-nt1)
    "${CV[@]}" --question mnc --merge_NT1 --nights "$STORE/psg9/MNC" --head epochwise \
        --encoders lpsgm lpsgm-logistic "${SIGNALS[@]}" --out "$OUT/mnc-nt1" "$@"
    "$PYTHON" main_diagnose_eval.py --run "$OUT/mnc-nt1" --question hang7-narcolepsy \
        --nights "$STORE/psg9/HANG7" --out "$OUT/mnc-hang7"
    ;;
# LPSGM: no figures published for apnea; depression AUC .724 by another label (medical history)
apples)
    for disorder in osa depression; do
        "${CV[@]}" --question "apples-$disorder" --nights "$STORE/psg9/APPLES" \
            --encoders lpsgm lpsgm-logistic htn statistics-trees person "${SIGNALS[@]}" \
            --out "$OUT/apples-$disorder" "$@"
    done
    ;;
# LPSGM, staging and diagnosis together: HANG7 AUC .915 (all trained .906, head alone .861)
joint)
    "${CV[@]}" --question hang7 --nights "$STORE/psg9/HANG7" --encoders lpsgm "${SIGNALS[@]}" \
        --joint 1 --backbone-passes 10 --backbone-lr 1e-3 --out "$OUT/hang7-joint" "$@"
    ;;
*)
    echo "diagnose.sh: no study '$WHAT'; there are simulated dry open cap mnc mnc-nt1 apples joint" >&2
    exit 2
    ;;
esac
