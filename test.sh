#!/usr/bin/env bash
# Lint, types and tests on a machine that has only Python 3.11: makes .venv, installs, runs.
#
#   bash test.sh            everything but the long proofs, under 15 minutes on two cores
#   bash test.sh --slow     the long proofs too (thousands of corruptions, 20 simulated nights, ...)
#   bash test.sh -k edf     further arguments go to pytest
#
# PYTHON=python3.12 chooses the interpreter, PIP_ARGS="..." reaches every pip call, TEST_PROCESSES=0
# runs the tests one after the other.
set -euo pipefail
cd "$(dirname "$0")"
source environment.sh
prepare_environment requirements-dev.txt

ruff format --check .
ruff check .
mypy

selection=(-m "not slow")
if [[ "${1:-}" == "--slow" ]]; then
    selection=()
    shift
    prepare_environment requirements-cluster.txt # one of the long proofs runs on Ray itself
fi
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# files go whole to one of two processes, so that what a file prepares is prepared once
python -m pytest -n "${TEST_PROCESSES:-2}" --dist loadfile "${selection[@]}" "$@"
