#!/bin/sh
# Makes a guest for tests and the lab's demo that boots in seconds: Debian's cloud kernel, and an initrd with busybox and
# dropbear that does with a NoCloud seed what cloud-init does. Needs apt-get, dpkg-deb and cpio, no root. It is made once;
# prints the folder that has vmlinuz and initrd.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# One that was made otherwise is another.
folder=${XDG_CACHE_HOME:-$HOME/.cache}/hwprovisioner/guest-$(cat "$here"/* | sha256sum | cut -c 1-12)
mkdir -p "$folder"
# Who wants it at once waits for whoever makes it.
exec 9>"$folder/lock"
flock 9
if [ -e "$folder/vmlinuz" ]; then
    echo "$folder"
    exit
fi
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/from" "$work/root"

cd "$work/packages"
download() {
    kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: //p' | head -n 1)
    apt-get download -qq "${kernel:-linux-image-cloud-amd64}" busybox-static dropbear-bin libc6 libcrypt1 libgmp10 \
        libtomcrypt1 libtommath1 zlib1g >"$work/log" 2>&1
}
# The lists of packages may be older than what there is.
download || { apt-get update -qq && download; } || { cat "$work/log" >&2; exit 1; }
for package in *.deb; do dpkg-deb -x "$package" "$work/from"; done

cd "$work/root"
mkdir -p bin dev etc lib64 lib/x86_64-linux-gnu modules proc root/.ssh run seed sys tmp
cp "$work"/from/bin/busybox bin/
for program in dropbear dropbearconvert dropbearkey; do
    find "$work/from/usr" -name "$program" -type f -exec cp {} bin/ \;
done
cp -L "$work"/from/lib64/ld-linux-x86-64.so.2 lib64/
for library in libc.so.6 libcrypt.so.1 libgmp.so.10 libtomcrypt.so.1 libtommath.so.1 libz.so.1; do
    find "$work/from" -name "$library" -exec cp -L {} lib/x86_64-linux-gnu/ \; -quit
done
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover \
    net_failover virtio_net cdrom isofs virtio-rng; do
    find "$work/from" -name "$module.ko*" -exec cp {} modules/ \;
done
cp "$here/init" init
chmod 755 init
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo /bin/sh >etc/shells

# Whoever looks for the guest sees it whole or not at all: the kernel comes last.
find . | cpio --quiet --create --format newc --owner 0:0 | gzip -1 >"$work/initrd"
mv "$work/initrd" "$folder/initrd"
cp "$work"/from/boot/vmlinuz-* "$work/vmlinuz"
mv "$work/vmlinuz" "$folder/vmlinuz"
echo "$folder"
