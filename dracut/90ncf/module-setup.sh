#!/bin/bash
# Takes ncf into the initramfs, so that a network change which was open when the host went down is
# undone before anything of the real system runs. See ncf(8).

# Called by dracut: whether the module can be, and shall be, in this initramfs.
check() {
    require_binaries ncf || return 1
}

# Called by dracut: the modules that this one needs.
depends() {
    echo base
}

# Called by dracut: puts the module in.
install() {
    inst_binary ncf
    inst_hook pre-pivot 50 "${moddir:?}/ncf-rollback.sh"
}
