#!/bin/sh
# The first process of the guest: runs the tests with the second serial port as their output, and switches the machine off.
export PATH=/bin HOME=/tmp CI=true INROAD_TEST_PROXY_MODES=ipvs
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
ip link set lo up
echo /bin/modprobe >/proc/sys/kernel/modprobe
stty -F /dev/ttyS1 raw -echo
cd /inroad || exit
node --disable-warning=ExperimentalWarning test/run.ts --inside vm >/dev/ttyS1 2>&1 </dev/null
# Waits until the last byte has left the port.
stty -F /dev/ttyS1 drain raw
echo o >/proc/sysrq-trigger
# The first process must not end before the machine does.
read -r _ </dev/console
