#!/bin/sh
# A Ceph object gateway with everything below it, in memory, on this machine only.
# usage: cluster.sh FOLDER GATEWAY_PORT MONITOR_PORT ACCESS_KEY SECRET_KEY
# Writes one process id per line to FOLDER/pids, and returns when the gateway answers.
set -eu
cd "$1"
gateway=$2 monitor=$3 access=$4 secret=$5
here=$(pwd)
mkdir -p run log mon.a osd.0 rgw
fsid=$(cat /proc/sys/kernel/random/uuid)
osd=$(cat /proc/sys/kernel/random/uuid)
cat > ceph.conf <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$monitor,v1:127.0.0.1:$((monitor + 1))]
mon initial members = a
# Without both of the next kinds of setting the gateway insists on cephx and hangs at its start.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $((monitor + 10))
ms bind port max = $((monitor + 60))
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 1073741824
run dir = $here/run
admin socket = $here/run/\$name.asok
log file = $here/log/\$name.log
mon data = $here/mon.\$id
osd data = $here/osd.\$id
rgw data = $here/rgw
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$gateway
# Otherwise every PUT of boto3 waits a second for its "100 Continue".
rgw print continue = true
CONF
export CEPH_CONF="$here/ceph.conf"
: > pids

attempt() { # attempt COUNT COMMAND...: try a command until it works, every 0.2 s
    left=$1
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "cluster.sh: gave up on: $*" >&2; exit 1; }
        sleep 0.2
    done
}
osd_is_up() { timeout 10 ceph osd stat 2>/dev/null | grep -q '1 up'; }

monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor,v1:127.0.0.1:$((monitor + 1))]" --clobber monmap >/dev/null
ceph-mon --mkfs -i a --monmap monmap
ceph-mon -i a -f > log/mon.out 2>&1 & echo $! >> pids
timeout 60 ceph osd new "$osd" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd" 2>/dev/null
ceph-osd -i 0 -f > log/osd.out 2>&1 & echo $! >> pids
attempt 150 osd_is_up
timeout 60 radosgw-admin user create --uid=test --display-name=test --access-key="$access" --secret-key="$secret" >/dev/null 2>&1
radosgw -n client.rgw -f > log/rgw.out 2>&1 & echo $! >> pids
attempt 150 curl -s -o /dev/null "http://127.0.0.1:$gateway/"
