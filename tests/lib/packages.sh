# shellcheck shell=bash disable=SC2034
# Debian packages: what building and testing need, and how they are installed. Sourced by tests/run and tools/quickstart.

build_packages=(
    build-essential cmake ninja-build ccache pkg-config
    libpq-dev libsystemd-dev libarchive-dev libinih-dev libfmt-dev libzstd-dev liblz4-dev liblzma-dev zlib1g-dev
    libbz2-dev libssl-dev nlohmann-json3-dev libcli11-dev
)
run_packages=(dbus-daemon postgresql python3 python3-psycopg2 util-linux)
test_packages=(
    "${build_packages[@]}" "${run_packages[@]}"
    cpputest clang clang-format libclang-rt-dev shellcheck python3-pytest python3-pytest-xdist python3-dbus
    mmdebstrap debian-archive-keyring barman barman-cli btrfs-progs xfsprogs e2fsprogs zstd
    systemd-container openssh-server openssh-client rsync iproute2 pgbackrest
)

# packages_missing NAME...: those that are not installed, one a line; false when there are none.
packages_missing() {
    { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
        sed -n 's/^installed //p' | sort -u | comm -13 - <(printf '%s\n' "$@" | sort -u) | grep .
}

createcluster=/etc/postgresql-common/createcluster.conf
our_createcluster='# Written by Coffer, for as long as PostgreSQL is being installed
create_main_cluster = false'

# A new machine's package must not start a PostgreSQL server of its own: tests start theirs. An existing file says what
# its owner wants, and stays.
no_main_cluster() {
    [ ! -e $createcluster ] || return 0
    mkdir -p "$(dirname $createcluster)"
    echo "$our_createcluster" >$createcluster
}

policy=/usr/sbin/policy-rc.d
our_policy='#!/bin/sh
# Written by Coffer, for as long as the packages of its tests are being installed
exit 101'

# Nor must an sshd start because tests need the program. A policy that the machine has stays.
no_services() {
    [ ! -e $policy ] || return 0
    echo "$our_policy" >$policy
    chmod 755 $policy
}

services_again() {
    [ "$(cat $policy 2>/dev/null)" != "$our_policy" ] || rm -f $policy
}

# In its place what the package wanted to put there, and found ours; nothing where there is no such package.
put_createcluster_back() {
    [ "$(cat $createcluster 2>/dev/null)" = "$our_createcluster" ] || return 0
    mv -f $createcluster.ucf-dist $createcluster 2>/dev/null ||
        cp /usr/share/postgresql-common/createcluster.conf $createcluster 2>/dev/null || rm -f $createcluster
    rmdir --ignore-fail-on-non-empty "$(dirname $createcluster)"
}

# install_missing NAME...: those that are missing. What apt and the packages say is shown only when it fails.
install_missing() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "packages are missing, and only root can install them: ${missing[*]}" >&2
        echo "HINT: run this with sudo" >&2
        return 1
    fi
    echo "Installing ${#missing[@]} Debian packages and what they need (a few minutes on a new machine) ..."
    (
        log=$(mktemp)
        trap 'put_createcluster_back; services_again; rm -f "$log"' EXIT
        trap 'exit 130' INT TERM
        no_main_cluster
        no_services
        export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
        if ! { apt-get update -q && apt-get install -q -y --no-install-recommends \
            -o Dpkg::Options::=--force-confold "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
            tail -n 30 "$log" >&2
            echo "HINT: can this machine reach its Debian mirror, and is there room? Needed are: ${missing[*]}" >&2
            exit 1
        fi
    )
}

# give_build_to_owner CHECKOUT: what root made below build/, to who builds there next.
give_build_to_owner() {
    [ "$(id -u)" != 0 ] || [ ! -d "$1/build" ] || chown -hR --reference="$1" "$1/build"
}
