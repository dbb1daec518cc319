#!/bin/bash
# Makes the file trees in which tests run the PostgreSQL versions that this distribution does not have.
#
#   pgroot.sh NAME...      NAME: pg15 (Debian bookworm), pg17 (trixie), pg18 (forky), peers (forky, with barman and pgbackrest),
#                          system (this machine's release, with systemd, a bus and the libraries that Coffer links)
#
# Each becomes the directory $COFFER_TEST_CACHE/NAME (default /var/cache/coffer-tests), complete or absent: it is made
# under another name and renamed at the end. One that exists is left as it is, so a second call costs nothing.
# The mirror, and a proxy if there is one, are those that apt on this machine is set to. Signatures are checked against
# Debian's keyring; only the expiry date is not, because a frozen mirror's testing release may be past it.
set -euo pipefail

cache=${COFFER_TEST_CACHE:-/var/cache/coffer-tests}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    printf 'pgroot: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'HINT: %s\n' "$2" >&2
    exit 1
}

# The URI under which apt finds this machine's own release: works for both forms of sources files.
mirror() {
    local codename uri
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # apt's own variables, not the shell's
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        awk -v release="$codename" '$1 == release {print $2; exit}')
    [ -n "$uri" ] || fail "apt on this machine has no source for $codename" "look at /etc/apt/sources.list*"
    echo "$uri"
}

own_release() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "$VERSION_CODENAME")
}

# Their package names carry versions: those that are installed here.
own_libraries() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libfmt[0-9]*' 'libarchive13*' 'libinih1*' |
        awk '$1 == "installed" && $2 !~ /-dev$/ {print $2}' | paste -sd,
}

make_root() {
    local name=$1 suite packages options=() proxy
    case $name in
        pg15) suite=bookworm packages=postgresql-15 ;;
        pg17) suite=trixie packages=postgresql-17 ;;
        pg18) suite=forky packages=postgresql-18 ;;
        system) suite=$(own_release) packages=systemd,systemd-sysv,dbus,libpq5,$(own_libraries) ;;
        peers) suite=forky packages=postgresql-18,barman,barman-cli,python3-zstandard,pgbackrest,zstd ;;
        *) fail "there is no root named $name" "one of: pg15 pg17 pg18 peers system" ;;
    esac
    mkdir -p "$cache"
    exec 9>"$cache/.$name.lock"
    flock 9
    [ ! -d "$cache/$name" ] || return 0

    proxy=$(apt-config shell proxy Acquire::http::Proxy)
    eval "$proxy"
    [ -z "${proxy:-}" ] || options+=("--aptopt=Acquire::http::Proxy \"$proxy\"")
    rm -rf "$cache/$name.new"
    echo "pgroot: making $cache/$name ($packages from $suite)" >&2
    # createcluster.conf keeps the package from making a cluster of its own at installation.
    mmdebstrap --quiet --mode=root --variant=essential --keyring="$keyring" --include="$packages" "${options[@]}" \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook='mkdir -p "$1/etc/postgresql-common"' \
        --essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
        "$suite" "$cache/$name.new" "$(mirror)" ||
        fail "the root $name could not be made" "mmdebstrap's messages are above; is the network there?"
    mv "$cache/$name.new" "$cache/$name"
}

[ "$(id -u)" = 0 ] || fail "making a root needs root" "sudo $0 $*"
[ $# -gt 0 ] || fail "nothing to make" "$0 pg17 pg18"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed" "apt-get install mmdebstrap"
for name in "$@"; do
    (make_root "$name")
done
