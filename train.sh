#!/usr/bin/env bash
# Train: one command per step, expected time and figure beside it. Further flags are passed on:
#   bash train.sh language --seed 1
#   bash train.sh whole-night
#   bash train.sh simulated && bash train.sh trial-lpsgm       a stager on a processor, minutes
#   bash train.sh lpsgm --precision bf16 --workers 16          a stager on a GPU, days
# Stagers read the night stores that preprocess.sh makes. One GPU: as it stands. Several:
#   TRAIN="torchrun --nproc-per-node 4" bash train.sh lpsgm --batch-size 128
set -euo pipefail
cd "$(dirname "$0")"

DATA=${DATA:-../shared/data} # folder of the open hypnograms, see preprocess/hypnograms.py
STORE=${STORE:-data} # parent of the night stores, as OUT of preprocess.sh
RAW=${RAW:-raw}      # parent of the raw data sets; the simulated one is made here
OUT=${OUT:-runs}
PYTHON=${PYTHON:-python}
WHAT=${1:-language}
shift || true
read -ra train <<<"${TRAIN:-}" # what runs main_train.py: python, or torchrun with its options
((${#train[@]})) || train=("$PYTHON")
# what LPSGM is tested on and never trained on
read -ra centres <<<"${HOLD_OUT:-HANG7 SYSU}"
read -ra unseen <<<"${HOLD_OUT:-HANG7 SYSU MESA MASS}"
read -ra cohorts <<<"${COHORTS:-SHHS MESA WSC CHAT CFS CCSHS}" # wav2sleep is trained on these

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
# --- stagers -------------------------------------------------------------------------------------
# Simulated people of two laboratories, two hours each: 16 nights, a minute of one core, 1.2 GB.
simulated)
    for site in SIM:12:full:50 BAR:4:aasm9:60; do
        IFS=: read -r name nights montage mains <<<"$site"
        "$PYTHON" -m recordings.simulate --out "$RAW/Simulated" --site "$name" \
            --nights "${NIGHTS:-$nights}" --hours "${HOURS:-2}" --montage "$montage" --mains-hz "$mains"
    done
    "$PYTHON" main_preprocess.py run simulated --raw "$RAW/Simulated" --out "$STORE" \
        --view psg9,bb100,seq3
    ;;
# LPSGM-Small from two derivations on simulated nights: 2.5 minutes of one core, accuracy 86, kappa
# 80 on the four people of a laboratory it never saw.
trial-lpsgm)
    "${train[@]}" main_train.py --model lpsgm --preset trial --nights "$STORE/psg9/Simulated" \
        --channels C4 E1 --hold-out Simulated-BAR --out "$OUT/trial-lpsgm" "$@"
    ;;
# SeqSleepNet on simulated nights: half a minute of one core, kappa 32 on the other laboratory; it
# has hardly begun to learn then, --n-passes 40 goes on.
trial-seqsleepnet)
    "${train[@]}" main_train.py --model seqsleepnet --preset trial --nights "$STORE/seq3/Simulated" \
        --hold-out Simulated-BAR --out "$OUT/trial-seqsleepnet" "$@"
    ;;
# TinySleepNet's convolutions, one derivation, on simulated nights: a minute of one core, accuracy
# 93, kappa 90 on the four people of a laboratory it never saw.
trial-tinysleepnet)
    "${train[@]}" main_train.py --model tinysleepnet-cnn --preset trial --channels C4 \
        --nights "$STORE/bb100/Simulated" --hold-out Simulated-BAR --out "$OUT/trial-tinysleepnet" "$@"
    ;;
# The small stager that ships, from simulated nights alone: a minute and a half of one core. What it
# is good for, on simulated and on real nights: weights/seqsleepnet-eeg-simulated.md.
seqsleepnet-simulated)
    "${train[@]}" main_train.py --model seqsleepnet --preset transfer-eeg \
        --nights "$STORE/seq3/Simulated" --hold-out Simulated-BAR --class-weights balanced \
        --gain 0.3 --batch-size 8 --lr 1e-3 --min-lr 1e-5 --schedule smooth --n-passes 2 \
        --evaluate-every 0 --patience 0 --out "$OUT/seqsleepnet-simulated" "$@"
    ;;
# LPSGM as its paper trained it, on every public source that is in the store, tested on two centres
# it never saw. Published: HANG7 accuracy 85.68, macro F1 82.88, kappa 81.38; SYSU 84.13, 77.88,
# 77.89. 24 000 nights: days on a GPU. The paper's unseen sets are held out too: MESA 83.74, 78.61,
# 77.37; MASS-SS1 79.98, 77.98, 73.23; MASS-SS3 84.97, 82.83, 78.75.
lpsgm)
    "${train[@]}" main_train.py --model lpsgm --preset paper --nights "$STORE/psg9" \
        --hold-out "${unseen[@]}" --out "$OUT/lpsgm" "$@"
    ;;
# The same as train.sh of the published code: nine derivations, smaller batches, random crops of
# channels, and MESA, MASS, BOAS, PATS and WSC among the sources. No figures were published for it.
lpsgm-script)
    "${train[@]}" main_train.py --model lpsgm --preset script --nights "$STORE/psg9" \
        --hold-out "${centres[@]}" --seed 20010613 --out "$OUT/lpsgm-script" "$@"
    ;;
# The four variants. Published accuracy on HANG7 and SYSU: cat_cls 85.68 84.13, cat_avg 84.16 82.67,
# add_cls 83.73 82.52, none_cls 80.43 80.45.
lpsgm-variants)
    for variant in cat_cls cat_avg add_cls none_cls; do
        "${train[@]}" main_train.py --model lpsgm --preset paper --nights "$STORE/psg9" \
            --field "architecture=$variant" --hold-out "${unseen[@]}" \
            --out "$OUT/lpsgm-$variant" "$@"
    done
    ;;
# One to six blocks; published accuracy on HANG7: 83.72 84.52 85.04 85.68 85.46 86.04.
lpsgm-blocks)
    for blocks in 1 2 3 4 5 6; do
        "${train[@]}" main_train.py --model lpsgm --preset paper --nights "$STORE/psg9" \
            --field "n_blocks=$blocks" --hold-out "${unseen[@]}" \
            --out "$OUT/lpsgm-blocks-$blocks" "$@"
    done
    ;;
# Five folds of one centre alone, to set beside fine-tuning. Published on HANG7: accuracy 84.93,
# macro F1 81.80, kappa 80.39. Before: main_preprocess.py splits data/psg9 --name centre --folds 5
# --dataset HANG7 --label diagnosis
lpsgm-centre)
    "${train[@]}" main_train.py --model lpsgm --preset script --nights "$STORE/psg9/${CENTRE:-HANG7}" \
        --split "${SPLIT:-centre}" --out "$OUT/lpsgm-centre" "$@"
    ;;
# The articles' 20 folds of MASS. Before: main_preprocess.py splits data/seq3 --name mass20
# --published mass_20fold_splits.json. Published for windows of 20: accuracy 87.0, kappa .815,
# macro F1 83.3 (10: 87.0 .814 83.2; 30: 87.1 .815 83.3). 63 000 steps a fold.
seqsleepnet | seqsleepnet-10 | seqsleepnet-30)
    preset=paper${WHAT#seqsleepnet}
    "${train[@]}" main_train.py --model seqsleepnet --preset "$preset" --nights "$STORE/seq3/MASS" \
        --split "${SPLIT:-mass20}" --out "$OUT/$WHAT" "$@"
    ;;
# The same folds. Published accuracy: e2e-arnn 83.6, multitask-arnn 83.8 (aggregated),
# e2e-deepsleepnet 86.2.
e2e-arnn | multitask-arnn | e2e-deepsleepnet)
    "${train[@]}" main_train.py --model "$WHAT" --preset paper --nights "$STORE/seq3/MASS" \
        --split "${SPLIT:-mass20}" --out "$OUT/$WHAT" "$@"
    ;;
# Sleep-EDF-20, 20 folds: main_preprocess.py splits data/bb100 --name sleepedf20 --folds 20
# --dataset SleepEDF-20. Wake farther than half an hour from sleep is left out. Published: accuracy
# 85.4, macro F1 80.5, kappa .80.
tinysleepnet)
    "${train[@]}" main_train.py --model tinysleepnet --preset paper --nights "$STORE/bb100/SleepEDF" \
        --split "${SPLIT:-sleepedf20}" --trim-minutes 30 --out "$OUT/tinysleepnet" "$@"
    ;;
# The same nights in two steps. Published: accuracy 82.0, macro F1 76.9, kappa .76. One fold, since
# the second step begins with the weights of the first.
deepsleepnet)
    nights=("--nights" "$STORE/bb100/SleepEDF" --split "${SPLIT:-sleepedf20}" --fold "${FOLD:-0}")
    "${train[@]}" main_train.py --model deepsleepnet --preset representation "${nights[@]}" \
        --trim-minutes 30 --out "$OUT/deepsleepnet-1" "$@"
    "${train[@]}" main_train.py --model deepsleepnet --preset paper "${nights[@]}" --trim-minutes 30 \
        --init "$OUT/deepsleepnet-1/fold${FOLD:-0}/best.safetensors" --out "$OUT/deepsleepnet-2" "$@"
    ;;
# --- wav2sleep: heart and breath -----------------------------------------------------------------
# Simulated home tests (ECG, pulse, two belts), two hours each, of two laboratories: 36 nights, a
# minute of one core, 230 MB.
simulated-heart)
    for site in SIM:30:5 BAR:6:77; do
        IFS=: read -r name nights seed <<<"$site"
        "$PYTHON" -m recordings.simulate --out "$RAW/SimulatedHeart" --site "$name" --seed "$seed" \
            --nights "${NIGHTS:-$nights}" --hours "${HOURS:-2}" --montage home
    done
    "$PYTHON" main_preprocess.py run simulated --raw "$RAW/SimulatedHeart" --out "$STORE" --view cr
    ;;
# A small wav2sleep on them: five CPU minutes of one core, wav2sleep-small-simulated. Kappa on the
# six people of the laboratory it never saw, from all four signals: 0.88 (docs/wav2sleep.md).
trial-wav2sleep)
    "${train[@]}" main_train.py --model wav2sleep --preset trial --nights "$STORE/cr/Simulated" \
        --hold-out Simulated-BAR --n-passes 24 --subsets --out "$OUT/trial-wav2sleep" "$@"
    ;;
# Six cohorts together, each with the signals it has, as the current release was trained, with its
# lists. Before: main_preprocess.py splits data/cr --name wav2sleep --published wav2sleep
# --accept-leaks (61 of 500 Census test nights and 88 of 500 SHHS validation nights are of persons in
# training). 16 000 steps of 16 nights: a day of one large GPU; --find-batch finds the batch that
# fits and accumulates to 16. Published kappa: SHHS .739 (ECG) .779 (ECG THX), MESA .742 (PPG) .783
# (ECG THX).
wav2sleep | wav2sleep-paper | wav2sleep-small)
    declare -A presets=([wav2sleep]=current [wav2sleep-paper]=paper [wav2sleep-small]=paper-small)
    "${train[@]}" main_train.py --model wav2sleep --preset "${presets[$WHAT]}" \
        --nights "${cohorts[@]/#/$STORE/cr/}" "$STORE/cr/MROS" --split "${SPLIT:-wav2sleep}" \
        --find-batch --subsets --out "$OUT/$WHAT" "$@"
    ;;
# The same for streams: each epoch from itself and those before it. Without CFS and CCSHS, whose
# pulse waves lie far from the middle of their range, as the published code does.
wav2sleep-causal)
    "${train[@]}" main_train.py --model wav2sleep --preset causal --split "${SPLIT:-wav2sleep}" \
        --nights "$STORE/cr/"{SHHS,MESA,WSC,CHAT} --find-batch --out "$OUT/wav2sleep-causal" "$@"
    ;;
# Both eyes, five classes; without SHHS, as published.
wav2sleep-eog)
    "${train[@]}" main_train.py --model wav2sleep --preset eog --split "${SPLIT:-wav2sleep}" \
        --nights "$STORE/eog/"{CCSHS,CFS,CHAT,MESA,WSC,MROS} --find-batch \
        --out "$OUT/wav2sleep-eog" "$@"
    ;;
# SleepPPG-Net, the baseline: the pulse wave of MESA alone. Its paper: median kappa .75.
ppgnet)
    "${train[@]}" main_train.py --model ppgnet --preset paper --nights "$STORE/cr/MESA" \
        --split "${SPLIT:-wav2sleep}" --find-batch --out "$OUT/ppgnet" "$@"
    ;;
# Every line of the language model as a trial on one source, two minutes.
dry)
    for step in language whole-night four scratch lag2; do
        OUT=$(mktemp -d) bash "$0" "$step" --dry-run
    done
    ;;
*)
    echo "train.sh: no step '$WHAT'; there are language whole-night four scratch lag2 dry," \
        "simulated trial-lpsgm trial-seqsleepnet trial-tinysleepnet seqsleepnet-simulated," \
        "lpsgm lpsgm-script lpsgm-variants lpsgm-blocks lpsgm-centre seqsleepnet seqsleepnet-10" \
        "seqsleepnet-30 e2e-arnn multitask-arnn e2e-deepsleepnet tinysleepnet deepsleepnet," \
        "simulated-heart trial-wav2sleep wav2sleep wav2sleep-paper wav2sleep-small" \
        "wav2sleep-causal wav2sleep-eog ppgnet" >&2
    exit 2
    ;;
esac
