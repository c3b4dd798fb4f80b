# The power is cut at random moments of begin, edit, commit and rollback, and of the rollback at boot. After each
# boot the files are exactly those of before or of after.
# shellcheck shell=bash disable=SC2154 # of tests/vm/run

seed=${NCF_VM_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
RANDOM=$seed
say "NCF_VM_SEED=$seed"

# cuts FILE_SYSTEM COUNT: that many cuts, and a last boot that checks the last one. The files and the
# state are on a disk of their own; the root is mounted read-only, and all share it.
cuts() {
    local type=$1 disk=$work/$1-disk dir=$work/$1 cut=0 when steps after options last moments='' bad=0
    local count=$(($2 * ${NCF_VM_CUTS:-1}))
    # What the guest said last before the cut: "at N" or "between N M", versions of the files.
    local expected='at 1'
    truncate -s 300M "$disk"
    "mkfs.$type" -q "$disk" >/dev/null
    mkdir -p "$dir"
    : >"$dir/all"
    while [ "$cut" -le "$count" ]; do
        # One in three hits the rollback at boot, if there is anything to roll back.
        when=loop
        if [ $((RANDOM % 3)) = 0 ]; then
            when=boot
        fi
        steps=$((RANDOM % 9))
        after=$((RANDOM % 150))
        options=(--cut "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))")
        if [ "$cut" = "$count" ]; then
            when=never
            options=()
        fi
        { echo "type=$type expected='$expected' when=$when steps=$steps"; cat tests/vm/cut_loop.sh; } | boot_script "$dir/script"
        if ! tests/vm/boot "$image" "$dir" --shared-disk "$image/disk" --disk "$disk" --script "$dir/script" \
            --append "ro init=/usr/lib/ncf-vm/run also=$type" "${options[@]}" 2>"$dir/error" \
            || grep -q '^not ok' "$dir/out"; then
            bad=1
            say "cut $cut ($moments), $type: expected $expected"
            cat "$dir/error" "$dir/out" >>"$report"
            break
        fi
        moments="$moments $when+$steps+$after"
        # Nothing where the cut came before the first look.
        last=$(grep -aE '^(at|between) [0-9]' "$dir/out" | tail -n 1 || true)
        expected=${last:-$expected}
        echo "$when $steps $after: $(tr '\n' ';' <"$dir/out")" >>"$dir/all"
        cut=$((cut + 1))
    done
    say "$type: $count cuts, $(grep -o opening "$dir/all" | wc -l) changes begun;" \
        "$(grep -c 'left open' "$dir/all" || true) cuts left one open," \
        "$(grep -c 'half rolled back' "$dir/all" || true) of these while it was being rolled back"
    expect "$type: after each of $count cuts all was as before or as after" [ "$bad" = 0 ]
    # A test whose cuts hit nothing would show nothing.
    expect "$type: some cuts left a change open" grep -q 'left open' "$dir/all"
}
