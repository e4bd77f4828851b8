#!/bin/sh
# The frozen supervisor for arm64, made by an arm64 Debian that is emulated: packaging/arm64.sh ROOT DIST, as root.
#
# Needs debootstrap, qemu-user-static, and a kernel that hands arm64 programs to it (binfmt_misc). The Debian is made
# once, in ROOT. What is mounted is seen by nobody else. docs/building.md
set -eu

say() { echo "freeze-arm64: $*" >&2; }

for program in debootstrap qemu-aarch64-static; do
    command -v "$program" >/dev/null || { say "there is no $program; apt-get install debootstrap qemu-user-static"; exit 1; }
done
[ "$(id -u)" = 0 ] || { say "only root can enter another root file system"; exit 1; }
if [ -z "${IN_NAMESPACE-}" ]; then
    IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi

root=$(realpath -m "$1") dist=$(realpath -m "$2")
checkout=$(realpath "$(dirname "$0")/..")
binfmt=/proc/sys/fs/binfmt_misc
[ -e $binfmt/status ] || mount -t binfmt_misc none $binfmt 2>/dev/null || true
if ! grep -qs '^enabled' $binfmt/qemu-aarch64; then
    say "the kernel does not know qemu-aarch64 ($binfmt/qemu-aarch64); apt-get install binfmt-support registers it"
    exit 1
fi

if [ ! -e "$root/complete" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    # shellcheck disable=SC1091
    . /etc/os-release
    debootstrap --arch=arm64 --variant=minbase \
        --include=python3,python3-venv,libpython3-dev,gcc,libc6-dev,musl-tools,make,git,busybox-static,ca-certificates \
        "$VERSION_CODENAME" "$root" >"$root.log" 2>&1 || { tail -5 "$root.log" >&2; exit 1; }
    touch "$root/complete"
fi

# How this machine reaches the network and Python's packages holds there, too.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp "$file" "$root$file"
done
mkdir -p "$root/checkout" "$root/dist" "$dist"
mount --bind "$checkout" "$root/checkout"
mount --bind "$dist" "$root/dist"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# A copy, so that nothing is built into the checkout by the other machine.
chroot "$root" /bin/sh -euc '
    rm -rf /build && mkdir /build && cd /checkout
    cp -r Makefile LICENSE README.md CHANGELOG.md pyproject.toml faas_supervisor plugins packaging examples /build
    cd /build && make freeze FREEZE=/var/cache/freeze DIST=/dist/made
'
rm -rf "${dist:?}"/supervisor* "${dist:?}"/bin "${dist:?}"/*.*
mv "$dist"/made/* "$dist"
rmdir "$dist/made"

say "a first event, under emulation"
rm -rf "$root/trial" && mkdir -p "$root/trial/bin" "$root/trial/tmp" "$root/trial/dev" "$root/trial/oscar"
cp "$root/bin/busybox" "$root/trial/bin/sh"
cp -r "$dist/supervisor" "$root/trial/oscar/bin"
mount --rbind /dev "$root/trial/dev"
printf '#!/bin/sh\nread -r line <"$INPUT_FILE_PATH"; echo "$line was seen"\n' >"$root/trial/script.sh"
printf 'name: trial\n' >"$root/trial/function_config.yaml"
seen=$(echo 'an event' | chroot "$root/trial" /oscar/bin/supervisor run --event - \
    --config /function_config.yaml --script /script.sh)
[ "$seen" = "an event was seen" ] || { say "it answered: $seen"; exit 1; }
say "made and tried: $dist"
