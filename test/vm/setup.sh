#!/bin/sh
# Prepares `npm run test:vm` on Debian 12: the emulator and the guest's programs (as root), and Debian's cloud kernel, unpacked
# into a cache folder: $INROAD_VM_KERNEL, or inroad/vm-kernel in the user's cache.
set -eu
packages="qemu-system-x86 kmod ipvsadm"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing system packages; as root run:  apt-get install -y --no-install-recommends$missing" >&2
    exit 2
  fi
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

kernel=${INROAD_VM_KERNEL:-${XDG_CACHE_HOME:-$HOME/.cache}/inroad/vm-kernel}
[ ! -e "$kernel/vmlinuz" ] || exit 0
mkdir -p "$(dirname "$kernel")"
work=$(mktemp -d "$kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
# The package without a version in its name depends on the newest one with it.
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
(cd "$work" && apt-get download -qq "$package" 2>&1 && dpkg -x ./*.deb . && rm ./*.deb)
mv "$work"/boot/vmlinuz-* "$work/vmlinuz"
PATH=$PATH:/usr/sbin:/sbin depmod -b "$work" "$(basename "$work"/lib/modules/*)"
chmod -R a+rX "$work"
mv -T "$work" "$kernel"
trap - EXIT
