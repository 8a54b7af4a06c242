#!/usr/bin/env bash
# Pre-train and probe: one command per step, published figures beside it. Further flags go on:
#   bash pretrain.sh simulated && bash pretrain.sh trial             a processor, minutes
#   bash pretrain.sh unimodal --precision bf16 --workers 16           a GPU, days
# Nights of view shhs7: main_preprocess.py run shhs --view shhs7. Persons are kept apart once and for
# all: main_preprocess.py splits data/shhs7 --name ssl --shares train=0.89 val=0.01 test=0.1
set -euo pipefail
cd "$(dirname "$0")"

STORE=${STORE:-data} # parent of the night stores, as OUT of preprocess.sh
NIGHTS=${NIGHTS:-$STORE/shhs7/SHHS}
RAW=${RAW:-raw} # where the simulated nights of the trial are made
OUT=${OUT:-runs}
PYTHON=${PYTHON:-python}
WHAT=${1:-trial}
shift || true
read -ra train <<<"${TRAIN:-}" # what runs the programs: python, or torchrun with its options
((${#train[@]})) || train=("$PYTHON")
modalities=(eeg eog ecg emg)
encoders=(EEG="$OUT/neuronet-eeg" EOG="$OUT/neuronet-eog" ECG="$OUT/neuronet-ecg"
    EMG="$OUT/neuronet-emg")
init=${INIT:-$OUT/synthsleepnet}

case "$WHAT" in
# NeuroNet of each modality: 20 passes of 256 epochs a step, 0.8 of the frames hidden. 71.6 million
# weights. Nothing was published of the losses.
unimodal)
    for modality in "${modalities[@]}"; do
        "${train[@]}" main_pretrain.py --preset "$modality" --nights "$NIGHTS" \
            --split "${SPLIT:-ssl}" --out "$OUT/neuronet-$modality" "$@"
    done
    ;;
# SynthSleepNet over the four: 100 passes, 0.4 of the frames hidden, adapters of rank 4. Recordings
# that lack a channel take part with the others.
multimodal)
    "${train[@]}" main_pretrain.py --model synthsleepnet --preset paper --nights "$NIGHTS" \
        --encoders "${encoders[@]}" --split "${SPLIT:-ssl}" --out "$init" "$@"
    ;;
# A classifier on frozen embeddings, 100 passes. Published accuracy, all labels: staging 89.89, apnea
# 99.75, hypopnea 89.60; few labels 87.98, 99.37, 77.52, both with context. Those of apnea and
# hypopnea belong to a rule that loses two thirds of the short events (--event-rule upstream) and to
# tests that were trained on: look at the area under precision and recall here.
probe)
    for task in staging apnea hypopnea; do
        "${train[@]}" main_probe.py --init "$init" --nights "$NIGHTS" --task "$task" \
            --fractions 0.01 0.05 0.1 0.5 1 --features "$OUT/features" --out "$OUT/probe-$task" "$@"
    done
    ;;
# Second adapters and Mamba over 20 epochs, 30 passes of 128 sequences a step. A re-use of the
# published weights gives SHHS accuracy 87.3, macro F1 81.6, against 80.0 and 70.0 of the probe.
tune)
    for task in staging apnea hypopnea; do
        "${train[@]}" main_probe.py --init "$init" --nights "$NIGHTS" --task "$task" --mode tune \
            --context 20 --fractions 0.01 0.05 0.1 0.5 1 --out "$OUT/tune-$task" "$@"
    done
    ;;
# The embedding of every epoch, for other people's work, with a picture.
export)
    "${train[@]}" main_probe.py --init "$init" --nights "$NIGHTS" --export "$OUT/features" \
        --picture tsne "$@"
    ;;
# Twelve simulated people, two hours each, view shhs7: a minute of one core, 0.6 GB.
simulated)
    "$PYTHON" -m recordings.simulate --out "$RAW/Simulated" --nights "${N:-12}" --hours "${HOURS:-2}"
    "$PYTHON" main_preprocess.py run simulated --raw "$RAW/Simulated" --out "$STORE" --view shhs7
    ;;
# All of the above with small networks on those people. Simulated nights: the figures tell that the
# code learns (see docs/synthsleepnet.md for the curve over labels).
trial)
    keep=(--val-share 0.2 --test-share 0.5 --nights "$STORE/shhs7/Simulated")
    for modality in eeg ecg; do
        "${train[@]}" main_pretrain.py --preset "$modality-small" "${keep[@]}" \
            --out "$OUT/small-$modality" "$@"
    done
    "${train[@]}" main_pretrain.py --model synthsleepnet --preset small --channels C4 ECG \
        --encoders EEG="$OUT/small-eeg" ECG="$OUT/small-ecg" "${keep[@]}" --out "$OUT/small" "$@"
    "${train[@]}" main_probe.py --init "$OUT/small" --nights "$STORE/shhs7/Simulated" --preset trial \
        --folds 3 --fractions 0.05 1 --out "$OUT/small-probe" "$@"
    ;;
# Apnea and hypopnea from the airflow, of N=36 simulated people, ten minutes: fold 0 of each is
# weights/apnea-small-simulated, hypopnea-small-simulated. Area under precision and recall of 15 people
# 0.84 and 0.66; 0.04 and 0.05 of their epochs hold one.
respiration)
    nights=(--nights "$STORE/shhs7/Simulated")
    "${train[@]}" main_pretrain.py --preset ecg-small --channels Airflow --n-passes 6 \
        --val-share 0.15 --test-share 0.4 "${nights[@]}" --out "$OUT/airflow" "$@"
    for task in apnea hypopnea; do
        "${train[@]}" main_probe.py --init "$OUT/airflow" "${nights[@]}" --task "$task" \
            --preset trial --folds 3 --label-seen --class-weights none --context 5 \
            --features "$OUT/airflow-features" --out "$OUT/airflow-$task" "$@"
    done
    ;;
*)
    echo "pretrain.sh: no step '$WHAT'; there are unimodal multimodal probe tune export," \
        "simulated trial respiration" >&2
    exit 2
    ;;
esac
