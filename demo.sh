#!/usr/bin/env bash
# From a recording to a corrected hypnogram with a report, on a machine that has only Python 3.11.
#
#   bash demo.sh                  a simulated night (made here, about 10 s)
#   bash demo.sh my_night.edf     your own recording; further arguments go to main_stage_slm.py
#
# OUT=folder chooses where results go. PYTHON and PIP_ARGS as in environment.sh.
# The first call installs (a minute or two); after that about half a minute for a night.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OUT=${OUT:-$here/runs/demo}

recording=${1:-}
if [[ -n $recording ]]; then
    recording=$(realpath "$recording")
    shift
fi
cd "$here"
source environment.sh
prepare_environment requirements.txt

if [[ -z $recording ]]; then
    recording=data/demo/simulated_night.edf
    [[ -e $recording ]] || python -m recordings.simulate --out "$recording" --seed 1 --hours 8
fi
python main_stage_slm.py "$recording" --out "$OUT" "$@"
