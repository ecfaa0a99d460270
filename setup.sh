#!/bin/sh
# Installs what Inroad needs on Debian or Ubuntu: system packages (as root) and the pinned Node packages.
set -eu
cd "$(dirname "$0")"
packages="libatomic1 iproute2 nftables iptables conntrack util-linux passt curl ca-certificates"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing system packages; as root run:  apt-get install -y$missing" >&2
    exit 2
  fi
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
[ -d node_modules/.bin ] && [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error
