#!/usr/bin/env bash
# Reproduce a headline table of a paper: from raw data to the paper's number beside ours.
#   bash reproduce.sh                                  systems and their tables
#   bash reproduce.sh seqsleepnet sleepedf20           runs here, from released outputs, seconds
#   bash reproduce.sh seqsleepnet mass --print         the commands alone
#   RAW=/raw STORE=data OUT=runs bash reproduce.sh lpsgm unseen-centres
# Each command is printed before it runs. Where raw data are missing, one sentence says what to ask
# for and where. Numbers of the papers and their sources: evaluation/published_tables.json.
set -euo pipefail
cd "$(dirname "$0")"

export RAW=${RAW:-raw}               # one folder per raw data set, as for preprocess.sh
export STORE=${STORE:-data}          # parent of the night stores
export OUT=${OUT:-runs}              # run folders, and reproduced-SYSTEM-TABLE.md
export DATA=${DATA:-../shared/data}  # folder of the released outputs, folds and open hypnograms
export PYTHON=${PYTHON:-python}
WORKERS=${WORKERS:-2}
tables=("$PYTHON" -m evaluation.reproduction)
print=false
[[ ${*: -1} == --print ]] && print=true && set -- "${@:1:$#-1}"
system=${1:-} name=${2:-}

if [[ -z $system || -z $name || $# -gt 2 ]]; then
    "${tables[@]}" list
    [[ -z $system ]] && exit 0
    echo "reproduce.sh: SYSTEM TABLE [--print] is wanted, as listed above" >&2
    exit 2
fi

run() {  # COMMAND...: print, then run
    echo "\$ ${*@Q}" | sed -E "s/'([[:alnum:]_./=:,+-]+)'/\1/g"
    $print || "$@"
}
need() {  # VIEW DATASET...
    $print || "${tables[@]}" need --raw "$RAW" --store "$STORE/$1" --datasets "${@:2}"
}
there() {  # DATASET: named in --print, and run where it lies
    $print || [[ -d $RAW/$1 || -d $STORE/$2/$1 ]]
}
released() {  # FILE
    if $print || [[ -e $DATA/$1 ]]; then return; fi
    echo "reproduce.sh: $DATA/$1 is missing; DATA=folder names the one that holds it" >&2
    exit 1
}
nights() {  # VIEW DATASET...
    for dataset in "${@:2}"; do
        $print || [[ -d $RAW/$dataset ]] || continue # its store is there
        run "$PYTHON" main_preprocess.py run "$dataset" --raw "$RAW/$dataset" --out "$STORE" \
            --view "$1" --workers "$WORKERS" --skip-errors
    done
}
train() {  # RUN COMMAND...: a run that is finished is left alone, one that was begun goes on
    [[ -e $OUT/$1/results.json ]] && echo "$OUT/$1: finished, left alone" && return
    local resume=()
    [[ -e $OUT/$1/last.pt || -d $OUT/$1/fold0 ]] && resume=(--resume)
    [[ $1 == diagnose/* && -e $OUT/$1/config.json ]] && resume=(--resume)
    run "${@:2}" "${resume[@]}"
}
judge() {  # RUN FOLDER NPZ...
    run "$PYTHON" main_evaluate.py staging --predictions "${@:2}" --out "$OUT/$1"
}
part() {  # FROM TO [FLAG...]: some of the nights of an output
    run "${tables[@]}" select "$1" "$2" "${@:3}"
}

case "$system $name" in
# Sleep-EDF-20 staged by a released CNN (middle head), corrected without a scored night of it.
"sleepgpt correction")
    released sleepedf20_stager_outputs.npz
    run "$PYTHON" -m benchmarks.released_outputs deepcnn --data "$DATA" --out "$OUT/released"
    run "$PYTHON" main_evaluate.py correction --outputs "$OUT/released/sleepedf20_middle.npz" \
        --ways greedy generic --out "$OUT/sleepgpt-correction"
    ;;
# The language model on open hypnograms, three minutes of one core.
"sleepgpt language")
    released real/ucddb
    run "$PYTHON" main_weights.py get sleepgpt-shhs-90
    train slm bash train.sh language
    ;;
# Trained on every public source that is at hand, tested on what the paper held out.
"lpsgm unseen-centres")
    need psg9 MESA MASS
    run env VIEW=psg9 OUT="$STORE" bash preprocess.sh --skip-errors
    centres=()
    for centre in HANG7 SYSU; do # of the authors' hospitals
        there "$centre" psg9 || continue
        nights psg9 "$centre"
        centres+=("$centre")
    done
    train lpsgm env HOLD_OUT="${centres[*]} MESA MASS" bash train.sh lpsgm
    outputs=()
    for centre in "${centres[@]}" MESA; do
        part "$OUT/lpsgm/test.npz" "$OUT/lpsgm-parts/$centre.npz" --dataset "$centre"
        outputs+=("$OUT/lpsgm-parts/$centre.npz")
    done
    for subset in 1 3; do
        part "$OUT/lpsgm/test.npz" "$OUT/lpsgm-parts/MASS-SS$subset.npz" --dataset MASS \
            --begins "01-0$subset"
        outputs+=("$OUT/lpsgm-parts/MASS-SS$subset.npz")
    done
    judge lpsgm-unseen "${outputs[@]}"
    ;;
# Five folds of the centre alone, then tuned to it. HANG7 is private; finetune.sh takes CENTRE=NAME.
"lpsgm tuned")
    need psg9 HANG7
    run env VIEW=psg9 OUT="$STORE" bash preprocess.sh --skip-errors
    nights psg9 HANG7
    run "$PYTHON" main_preprocess.py splits "$STORE/psg9" --name centre --folds 5 --dataset HANG7
    train lpsgm-centre bash train.sh lpsgm-centre
    train without-hang7/lpsgm env OUT="$OUT/without-hang7" HOLD_OUT=HANG7 bash train.sh lpsgm
    train lpsgm-HANG7 env INIT="$OUT/without-hang7/lpsgm/best.safetensors" bash finetune.sh lpsgm
    ;;
# Staging learned from everything else, so that nobody of MNC has been seen.
"lpsgm narcolepsy")
    need psg9 MNC
    run env VIEW=psg9 OUT="$STORE" bash preprocess.sh --skip-errors
    nights psg9 MNC
    train without-mnc/lpsgm env OUT="$OUT/without-mnc" HOLD_OUT=MNC bash train.sh lpsgm
    for study in mnc mnc-nt1; do
        train "diagnose/$study" env OUT="$OUT/diagnose" \
            BACKBONE="$OUT/without-mnc/lpsgm/best.safetensors" bash diagnose.sh "$study"
    done
    ;;
# Days of a GPU: four encoders, their fusion, then probes and tuning with few labels and all.
"synthsleepnet labels")
    need shhs7 SHHS
    nights shhs7 SHHS
    run "$PYTHON" main_preprocess.py splits "$STORE/shhs7" --name ssl \
        --shares train=0.89 val=0.01 test=0.1
    for step in unimodal multimodal probe tune; do
        run bash pretrain.sh "$step"
    done
    ;;
"wav2sleep signals")
    cohorts=(SHHS MESA WSC CHAT CFS CCSHS)
    need cr "${cohorts[@]}" MROS
    nights cr "${cohorts[@]}" MROS
    run "$PYTHON" main_preprocess.py splits "$STORE/cr" --name wav2sleep --published wav2sleep \
        --accept-leaks
    train wav2sleep bash train.sh wav2sleep
    for cohort in SHHS MESA; do
        part "$OUT/wav2sleep/subsets.npz" "$OUT/wav2sleep-parts/$cohort.npz" --dataset "$cohort"
    done
    run "$PYTHON" main_preprocess.py splits "$STORE/cr" --name census \
        --published wav2sleep-census --accept-leaks
    run "$PYTHON" -m benchmarks.wav2sleep_subsets --weights "$OUT/wav2sleep/best.safetensors" \
        --nights "$STORE"/cr/{CHAT,WSC,MESA,CFS,CCSHS} --split census --out "$OUT/wav2sleep-census"
    part "$OUT/wav2sleep-census/subsets.npz" "$OUT/wav2sleep-parts/Census.npz"
    judge wav2sleep-judged "$OUT"/wav2sleep-parts/{SHHS,MESA,Census}.npz
    ;;
"seqsleepnet mass")
    need seq3 MASS
    released mass_20fold_splits.json
    nights seq3 MASS
    run "$PYTHON" main_preprocess.py splits "$STORE/seq3" --name mass20 --dataset MASS \
        --published "$DATA/mass_20fold_splits.json"
    for step in seqsleepnet-30 seqsleepnet seqsleepnet-10 e2e-deepsleepnet multitask-arnn e2e-arnn; do
        train "$step" bash train.sh "$step"
    done
    ;;
"seqsleepnet mass-arnn")
    released mass_arnn_outputs.npz
    run "$PYTHON" -m benchmarks.released_outputs mass-arnn --data "$DATA" \
        --out "$OUT/seqsleepnet-mass-arnn"
    ;;
# Open data: main_preprocess.py get SleepEDF. A GPU, some hours.
"seqsleepnet transfer" | "seqsleepnet tinysleepnet")
    view=seq3
    [[ $name == tinysleepnet ]] && view=bb100
    need "$view" SleepEDF
    nights "$view" SleepEDF
    run "$PYTHON" main_preprocess.py splits "$STORE/$view" --name sleepedf20 --folds 20 \
        --dataset SleepEDF-20
    if [[ $name == transfer ]]; then
        run "$PYTHON" main_weights.py get seqsleepnet-mass-eeg
        tuned=$OUT/seqsleepnet-tuned resume=() # four modes, the last of them is `head`
        [[ -d $tuned-all ]] && resume=(--resume)
        $print || [[ ! -e $tuned-head/results.json ]] &&
            run bash finetune.sh seqsleepnet --split sleepedf20 "${resume[@]}"
    else
        train tinysleepnet bash train.sh tinysleepnet
    fi
    ;;
"seqsleepnet sleepedf20")
    released sleepedf20_stager_outputs.npz
    run "$PYTHON" -m benchmarks.released_outputs sleepedf20 --data "$DATA" --out "$OUT/released"
    judge seqsleepnet-sleepedf20 "$OUT/released/onemax.npz"
    ;;
*)
    "${tables[@]}" list >&2
    echo "reproduce.sh: no table '$name' of '$system'; those above are there" >&2
    exit 2
    ;;
esac
run "${tables[@]}" table "$system" "$name" --out "$OUT"
