#!/usr/bin/env bash
# Raw data sets become night stores: one line each. Comment out what you do not want; a folder that
# is not there is skipped, nights that are there are left alone, so the same call goes on.
#
#   RAW=/raw OUT=data VIEW=psg9 WORKERS=8 bash preprocess.sh
#   bash preprocess.sh --dry-run          two nights of each; flags go to main_preprocess.py run
#
# About 0.5 CPU seconds and 50 MB per night of 8 hours in psg9; 0.2 s and 5 MB in cr.
set -euo pipefail
cd "$(dirname "$0")"
RAW=${RAW:-raw}          # one folder per data set, named as below
OUT=${OUT:-data}         # <OUT>/<view>/<DATASET>
VIEW=${VIEW:-psg9}       # LPSGM; several at once: psg9,cr
WORKERS=${WORKERS:-2}    # processes; 2 to 9 keep a disk busy
PYTHON=${PYTHON:-python}

refused=()
nights() {  # DATASET VIEW [FLAG...]
    [[ -d $RAW/$1 ]] || { echo "$1: skipped, no folder $RAW/$1"; return 0; }
    "$PYTHON" main_preprocess.py run "$1" --raw "$RAW/$1" --out "$OUT" --view "$2" \
        --workers "$WORKERS" "${@:3}" || refused+=("$1")
}

nights APPLES   "$VIEW" "$@"
nights DCSM     "$VIEW" "$@"
nights DOD-H    "$VIEW" "$@"
nights DOD-O    "$VIEW" "$@"
nights HMC      "$VIEW" "$@"
nights ISRUC    "$VIEW" "$@"
nights SVUH     "$VIEW" "$@"
nights P2018    "$VIEW" "$@"
nights STAGES   "$VIEW" "$@"
nights ABC      "$VIEW" "$@"
nights NCHSDB   "$VIEW" "$@"
nights HOMEPAP  "$VIEW" "$@"
nights CHAT     "$VIEW" "$@"
nights CCSHS    "$VIEW" "$@"
nights CFS      "$VIEW" "$@"
nights MROS     "$VIEW" "$@"
nights SHHS     "$VIEW" "$@"      # weights of LPSGM saw C3 and C4 exchanged: --as-published
nights MASS     "$VIEW" "$@"      # SeqSleepNet: seq3
nights MESA     "$VIEW" "$@"
nights WSC      "$VIEW" "$@"
nights BOAS     "$VIEW" "$@"
nights PATS     "$VIEW" "$@"
nights MNC      "$VIEW" "$@"
nights CAP      bb100   "$@"      # SleepGPT
nights SleepEDF bb100   "$@"      # SleepGPT; has no derivation of psg9
nights Simulated "$VIEW" "$@"     # python -m recordings.simulate --nights 20 --out raw/Simulated
# nights HANG7  "$VIEW" "$@"      # private: examples of the form for a hospital's own data
# nights SYSU   "$VIEW" "$@"

if ((${#refused[@]})); then
    echo "with refusals: ${refused[*]} (tables above and in $OUT/<view>/failed.jsonl)"
    exit 1
fi
