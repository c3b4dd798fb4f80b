# What every script of a boot begins with: see boot_script in tests/vm/run. Runs in the guest.
# shellcheck shell=bash
set -u

config=/etc/sysconfig/network-scripts

# expect WHAT COMMAND...: one expectation; on failure also what the command said.
expect() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok $what"
    else
        echo "not ok $what"
        printf '%s\n' "$said" | head -n 25 | sed 's/^/    /'
    fi
}

# not COMMAND...: it fails.
not() {
    ! "$@"
}

# shows TEXT COMMAND...: the text is somewhere in what the command says.
shows() {
    local text=$1 said
    shift
    said=$("$@" 2>&1)
    if [[ $said != *"$text"* ]]; then
        printf '"%s" is not in what "%s" says:\n%s\n' "$text" "$*" "$said"
        return 1
    fi
}

# state VERSION [DIR]: makes the interface files be of this version: content, mode, owner, times, attributes, link
# targets. One file is in even versions only, one in odd ones.
state() {
    local version=$1 dir=${2:-$config} name
    mkdir -p "$dir"
    for name in ifcfg-eth0 ifcfg-br0 ifcfg-bond0.100 route-eth0 rule6-eth0 keys-wlan0; do
        # Some bytes more than one block.
        printf "LINE_%s_OF_$name=version$version\n" {1..150} >"$dir/$name"
    done
    if [ $((version % 2)) = 0 ]; then
        rm -f "$dir/ifcfg-odd"
        echo "DEVICE=even$version" >"$dir/ifcfg-even"
    else
        rm -f "$dir/ifcfg-even"
        echo "DEVICE=odd$version" >"$dir/ifcfg-odd"
    fi
    ln -sfn "ifcfg-target$version" "$dir/ifcfg-link"
    chmod 600 "$dir/keys-wlan0"
    chmod "$((640 + version % 5))" "$dir/ifcfg-br0"
    chown "$((version % 1000)):0" "$dir/route-eth0"
    setfattr -n trusted.version -v "$version" "$dir/ifcfg-eth0"
    setfacl -b -m "u:$((version % 1000)):r" "$dir/rule6-eth0"
    touch -h -d "@$((1000000000 + version))" "$dir"/*
}

# tree [DIR]: everything about the interface files, to be compared.
tree() (
    cd "${1:-$config}" || exit
    find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %l\n' | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    # xfs shows an ACL a second time, as a trusted attribute.
    getfattr -h -d -m - ./* 2>/dev/null | grep -v '^trusted.SGI_'
)

# is_state VERSION: the interface files are exactly of this version.
is_state() {
    local expected status=0
    expected=$(mktemp -d)
    state "$1" "$expected"
    diff <(tree "$expected") <(tree) || status=1
    rm -r "$expected"
    return $status
}

# login_shows: what root sees at a login, before the shell.
login_shows() {
    echo exit >/root/.bash_profile
    timeout 60 script -qec 'login -f root' /dev/null </dev/null
}

# begin_and_break: opens a change on version 1 and leaves no file as it was.
begin_and_break() {
    state 1
    expect "a change begins" ncf -q change-begin
    state 2
    echo nonsense >"$config/ifcfg-added"
    rm "$config/ifcfg-br0"
}

# begin_and_commit: a change to version 4.
begin_and_commit() {
    expect "a change begins" ncf -q change-begin
    state 4
    expect "and is committed" ncf -q change-commit
}

# journal_order FIRST THEN: this boot's journal says the first before the other.
journal_order() {
    local first second
    first=$(journalctl -b --no-pager | grep -nFm 1 "$1" | cut -d : -f 1)
    second=$(journalctl -b --no-pager | grep -nFm 1 "$2" | cut -d : -f 1)
    [ -n "$first" ] && [ -n "$second" ] && [ "$first" -lt "$second" ] && return
    echo "'$1' is in line ${first:-none} of the journal, '$2' in ${second:-none}"
    journalctl -b --no-pager | grep -E 'ncf-|[nN]etwork'
    return 1
}
