# Runs in the guest, after guest.sh: checks what the last cut has left, and goes on until the next.
# Given: type, of the file system; expected, what the files may be; when, "loop", "boot" or "never"; steps, after how
# many steps of the loop the power is to be cut.
# shellcheck shell=bash disable=SC2154

mount -t "$type" /dev/vdb /mnt || exit 1
if [ ! -e /mnt/made ]; then
    mkdir -p /mnt/sysconfig /mnt/ncf
    chmod 700 /mnt/ncf
    state 1 /mnt/sysconfig/network-scripts
    touch /mnt/made
    sync
fi
mount --bind /mnt/sysconfig /etc/sysconfig
mount --bind /mnt/ncf /var/lib/ncf

if [ -e /var/lib/ncf/transaction ]; then
    echo "left open"
fi
if [ -e /var/lib/ncf/transaction/journal ]; then
    echo "left half rolled back"
fi
if [ "$when" = boot ]; then
    echo now
fi
said=$(ncf boot-rollback --earlier-boot 2>&1) || echo "not ok boot-rollback: $said"

read -r _ before after <<<"$expected"
version=
for candidate in $before $after; do
    if is_state "$candidate" >/tmp/difference 2>&1; then
        version=$candidate
        break
    fi
done
if [ -z "$version" ]; then
    echo "not ok the files are neither of $before nor of ${after:-$before}"
    cat /tmp/difference
    exit 1
fi
if [ -e /var/lib/ncf/transaction ]; then
    echo "not ok the change is still open"
fi
echo "at $version"
if [ "$when" = never ]; then
    exit 0
fi

# Both versions of this boot, made beforehand: the time is to go into ncf.
next=$((version + 1))
state "$version" "/tmp/$version"
state "$next" "/tmp/$next"
# step: another one. So a slow machine is not cut at the first step each time, and a fast one not after a hundred.
step() {
    if [ "$steps" = 0 ] && [ "$when" = loop ]; then
        echo now
    fi
    steps=$((steps - 1))
}
while true; do
    echo "opening $version"
    step
    ncf -q change-begin || exit 1
    step
    rm -f "$config"/ifcfg-odd "$config"/ifcfg-even
    cp -a "/tmp/$next/." "$config"
    if [ $((RANDOM % 2)) = 0 ]; then
        echo "between $version $next"
        step
        ncf -q change-commit || exit 1
        read -r version next <<<"$next $version"
    else
        step
        ncf -q --applier none change-rollback || exit 1
    fi
    echo "at $version"
done
