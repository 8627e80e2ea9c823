#!/usr/bin/env bash
# Install the Debian packages whose programs are missing; usage: debian-packages.sh PROGRAM=PACKAGE...
# Root installs them with apt-get; anybody else is told which ones to ask for.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin # brokers live there, and an ordinary user's PATH does not

missing=()
for wanted in "$@"; do
    command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted#*=}")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "Missing programs of the Debian packages: ${missing[*]}" >&2
    echo "This system has no apt-get: install what holds them here, then run make again." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing Debian packages: ${missing[*]}" >&2
    echo "Install them, then run make again:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "Installing Debian packages: ${missing[*]}"
apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null
apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" </dev/null
