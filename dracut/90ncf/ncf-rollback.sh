#!/bin/sh
# Undoes the network change that was open when the host went down, on the real root, before anything
# of it runs. Where that can't be done from here, ncf-rollback.service does it a little later:
#
# - the root is mounted read-only: nothing here remounts it, that is the real system's decision;
# - /var is another file system, which is not mounted yet: the change is not to be seen;
# - the rollback fails: its change stays open, and the unit says so where it will be read.
#
# dracut sources its hooks: hence functions, and no exit.

ncf_root_is_writable() {
    # By the mount's options. Where they say rw and a write fails all the same, ncf says so.
    while read -r _ point _ options _; do
        if [ "$point" = "$NEWROOT" ]; then
            ncf_options=$options
        fi
    done < /proc/mounts
    case ",$ncf_options," in
        *,rw,*) return 0 ;;
        *) return 1 ;;
    esac
}

ncf_rollback() {
    if [ ! -e "$NEWROOT/var/lib/ncf/transaction" ]; then
        return
    fi
    if ! ncf_root_is_writable; then
        info "ncf: the root is mounted read-only: ncf-rollback.service will undo the open change"
        return
    fi
    # /run is here already what it will be there: the line for the login outlives the initramfs.
    if ncf_said=$(ncf --root "$NEWROOT" boot-rollback --earlier-boot --motd-dir /run/motd.d 2>&1); then
        ncf_tell=info
    else
        ncf_tell=warn
    fi
    # Also to the kernel's log, which the journal of the real system begins with.
    printf '%s\n' "$ncf_said" | while read -r ncf_line; do
        $ncf_tell "ncf: $ncf_line"
        echo "<5>ncf: $ncf_line" > /dev/kmsg
    done
    unset ncf_said ncf_tell ncf_options
}

ncf_rollback
