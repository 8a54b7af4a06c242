# shellcheck shell=bash
# Sourced by the scripts: makes .venv once and installs a requirements file when it changed.
#
# prepare_environment FILE    leaves python, pip and the tools of .venv first on PATH
# PYTHON chooses the interpreter, VENV another folder, PIP_ARGS reaches pip.

prepare_environment() {
    local wanted=$1 venv=${VENV:-.venv} python=${PYTHON:-python3} stamp
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or later is needed; $("$python" --version 2>&1) found. Set PYTHON=..." >&2
        return 1
    }
    [[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
    venv=$(cd "$venv" && pwd)
    export PATH="$venv/bin:$PATH"
    stamp="$venv/installed-$(cat requirements*.txt | cksum | cut -d' ' -f1)"
    # requirements-dev.txt holds all of requirements.txt
    [[ $wanted == requirements.txt && -e $stamp-requirements-dev.txt ]] && return
    if [[ ! -e $stamp-$wanted ]]; then
        echo "Installing $wanted into $venv (a minute or two, once) ..."
        # shellcheck disable=SC2086  # PIP_ARGS is a list of words
        python -m pip install --quiet --disable-pip-version-check ${PIP_ARGS:-} -r "$wanted"
        touch "$stamp-$wanted"
    fi
}
