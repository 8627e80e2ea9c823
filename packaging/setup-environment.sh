#!/usr/bin/env bash
# Make .venv with everything in uv.lock. Needs Python 3.11 or newer; PYTHON names another than python3.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION='uv>=0.13,<0.14'
OLDEST='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$candidate" -c "$OLDEST" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python 3.11 or newer found; install one and name it: make PYTHON=/path/to/python3" >&2
    return 1
}

python=$(find_python)

# Debian keeps what makes an environment with pip in a package of its own. (import venv works without it.)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
    packaging/debian-packages.sh "no-such-program=$version"
fi

# An environment whose Python was moved or upgraded away is made anew.
if ! .venv/bin/python -c "$OLDEST" 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv
fi
if ! .venv/bin/uv --version >/dev/null 2>&1; then
    .venv/bin/python -m ensurepip --upgrade >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$UV_VERSION"
fi

# The lock decides; nothing else is resolved, and no other Python is fetched. The system's certificates: as pip does.
UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true UV_PROJECT_ENVIRONMENT=.venv \
    .venv/bin/uv sync --quiet --locked --all-extras --python .venv/bin/python

# The wheel of sunsynk brings its own tests as a package `tests`, which our scripts would find before ours.
rm -rf .venv/lib/python*/site-packages/tests
