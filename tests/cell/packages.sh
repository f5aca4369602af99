# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Debian's Grid Engine, unpacked into a private cache and laid out as an SGE_ROOT.
#
# Nothing is installed: no package script runs, so no daemon starts and no user
# is added. The programs look for their own libraries in $ORIGIN/../../lib/lx-amd64
# (their RUNPATH); those of others are installed (scripts/deps).
#
#   packages_check        can the packages be had? says what is missing
#   packages_tree         prints the directory, makes it when needed
#   packages_sshd         prints the path of sshd, fetches it when needed
#
# Sourced by `cell`, which has die().

packages_list=(gridengine-common gridengine-client gridengine-master gridengine-exec)
packages_archives=/var/cache/apt/archives

packages_cache() {
    echo "${QCKPT_CELL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/qckpt}"
}

packages_dir() {
    echo "$(packages_cache)/gridengine-2"
}

packages_check() {
    [ -e "$(packages_dir)/complete" ] && return
    command -v apt-get dpkg-deb >/dev/null ||
        die "the cell is made of Debian's gridengine packages: apt-get and dpkg-deb are needed"
    apt-cache show gridengine-exec >/dev/null 2>&1 ||
        [ -n "$(packages_downloaded gridengine-exec)" ] ||
        die "apt knows no package gridengine-exec: run \"scripts/deps cell\" as root"
}

# What root has fetched for everybody (scripts/deps cell).
packages_downloaded() {
    find "$packages_archives" -maxdepth 1 -name "$1_*.deb" -print -quit 2>/dev/null
}

packages_fetch() {
    local name found missing=()
    for name in "${packages_list[@]}"; do
        found=$(packages_downloaded "$name")
        if [ -n "$found" ]; then
            cp "$found" .
        else
            missing+=("$name")
        fi
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "fetching ${missing[*]}" >&2
    # Run by root, apt drops its privileges to a user who may not write here.
    apt-get -qq -o APT::Sandbox::User=root download "${missing[@]}" >&2 ||
        die "cannot download ${missing[*]}: run \"scripts/deps cell\" as root, or check the network"
}

packages_lay_out() {
    local from=$1 to=$2 file
    mkdir -p "$to"/{bin,lib/lx-amd64}
    mv "$from/usr/lib/gridengine" "$to/bin/lx-amd64"
    mv "$from/usr/share/gridengine" "$to/share"
    ln -s bin "$to/utilbin"
    ln -s share/util "$to/util"
    mv "$to"/bin/lx-amd64/*.so "$to/lib/lx-amd64"
    # One path is compiled in, that of the spooling library. There is no such
    # directory to mount on; /srv/lib exists in the cell. The length must stay.
    grep -lsZ '/usr/lib/gridengine/%s%s' "$to"/bin/lx-amd64/* |
        LC_ALL=C xargs -0r sed -i 's|/usr/lib/gridengine/%s%s|/srv/lib////////////%s%s|'
    # Debian's wrappers insist on /usr/lib/gridengine; the RUNPATH does without.
    for file in spooldefaults spooledit; do
        mv "$to/bin/lx-amd64/$file.bin" "$to/bin/lx-amd64/$file"
    done
}

packages_missing_libraries() {
    ldd "$1"/bin/lx-amd64/{sge_qmaster,sge_execd,sge_shepherd,qsub,qconf} 2>/dev/null |
        awk '/not found/ { print $1 }' | sort -u
}

packages_make() {
    local cache=$1 final=$2 work deb missing
    work=$(mktemp -d "$cache/unpack.XXXXXX") || die "cannot write to $cache"
    (
        cd "$work" || exit 1
        packages_fetch
        for deb in *.deb; do
            dpkg-deb -x "$deb" unpacked || die "cannot unpack $deb"
        done
        packages_lay_out unpacked tree
        missing=$(packages_missing_libraries tree)
        [ -z "$missing" ] || die "Grid Engine lacks these libraries (run \"scripts/deps cell\"):" $missing
        touch tree/complete
        chmod -R a+rX tree
        # Another cell may have been faster; both trees are the same.
        mv -T tree "$final" 2>/dev/null || [ -e "$final/complete" ]
    )
    local status=$?
    rm -rf "$work"
    return $status
}

packages_tree() {
    local cache final
    cache=$(packages_cache)
    final=$(packages_dir)
    if [ ! -e "$final/complete" ]; then
        mkdir -p "$cache" || die "cannot create $cache"
        packages_make "$cache" "$final" || die "cannot make $final"
    fi
    echo "$final"
}

# Debian's openssh-server would start a daemon when it is installed.
packages_sshd() {
    local found cache missing
    cache=$(packages_cache)/openssh
    command -v ssh ssh-keygen >/dev/null || die "there is no ssh: run \"scripts/deps cell\" as root"
    if [ -x /usr/sbin/sshd ]; then
        echo /usr/sbin/sshd
        return
    fi
    if [ ! -x "$cache/usr/sbin/sshd" ]; then
        mkdir -p "$cache" || die "cannot create $cache"
        found=$(packages_downloaded openssh-server)
        [ -n "$found" ] || (cd "$cache" && apt-get -qq -o APT::Sandbox::User=root download openssh-server >&2) ||
            die "cannot download openssh-server: run \"scripts/deps cell\" as root, or check the network"
        dpkg-deb -x "${found:-$(echo "$cache"/openssh-server_*.deb)}" "$cache" || die "cannot unpack openssh-server"
    fi
    missing=$(ldd "$cache/usr/sbin/sshd" | awk '/not found/ { print $1 }')
    [ -z "$missing" ] || die "sshd lacks these libraries (run \"scripts/deps cell\"):" $missing
    echo "$cache/usr/sbin/sshd"
}
