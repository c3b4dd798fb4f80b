# The power is cut at random moments of begin, edit, commit and rollback, and of the rollback at boot. After each
# boot the files are exactly those of before or of after.
# shellcheck shell=bash disable=SC2154 # of tests/vm/run

seed=${NCF_VM_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
RANDOM=$seed
echo "   NCF_VM_SEED=$seed" >>"$report"

# cuts FILE_SYSTEM COUNT: that many cuts, and a last boot that checks the last one. The files and the
# state are on a disk of their own; the root is mounted read-only, and all share it.
cuts() {
    local type=$1 count=$2 disk=$work/$1-disk dir=$work/$1 cut=0 when after options last moments='' bad=0
    # What the guest said last before the cut: "at N" or "between N M", versions of the files.
    local expected='at 1'
    truncate -s 300M "$disk"
    "mkfs.$type" -q "$disk" >/dev/null
    mkdir -p "$dir"
    : >"$dir/all"
    count=$((count * ${NCF_VM_CUTS:-1}))
    while [ "$cut" -le "$count" ]; do
        # One in four hits the rollback at boot, if there is anything to roll back.
        when=loop
        after=$((RANDOM % 2500))
        if [ $((RANDOM % 4)) = 0 ]; then
            when=boot
            after=$((RANDOM % 400))
        fi
        options=(--cut "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))")
        if [ "$cut" = "$count" ]; then
            when=never
            options=()
        fi
        { echo "type=$type expected='$expected' when=$when"; cat tests/vm/cut_loop.sh; } | boot_script "$dir/script"
        if ! tests/vm/boot "$image" "$dir" --disk "$image/disk" --disk "$disk" --script "$dir/script" \
            --append "ro init=/usr/lib/ncf-vm/run also=$type" "${options[@]}" 2>"$dir/error" \
            || grep -q '^not ok' "$dir/out"; then
            bad=1
            echo "   cut $cut ($moments), $type: expected $expected" >>"$report"
            cat "$dir/error" "$dir/out" >>"$report"
            break
        fi
        moments="$moments $when+$after"
        # Nothing where the cut came before the first look.
        last=$(grep -aE '^(at|between) [0-9]' "$dir/out" | tail -n 1 || true)
        expected=${last:-$expected}
        echo "$when $after: $(tr '\n' ';' <"$dir/out")" >>"$dir/all"
        cut=$((cut + 1))
    done
    echo "   $type: $cut boots; $(grep -o opening "$dir/all" | wc -l) changes begun;" \
        "$(grep -c undone "$dir/all" || true) cuts left one open" >>"$report"
    expect "$type: after each of $count cuts all was as before or as after" [ "$bad" = 0 ]
}
