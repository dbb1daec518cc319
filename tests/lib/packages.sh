# shellcheck shell=bash disable=SC2034
# Debian packages: what building and testing need, and how they are installed. Sourced by tests/run and tools/quickstart.

build_packages=(
    build-essential cmake ninja-build ccache pkg-config
    libpq-dev libsystemd-dev libarchive-dev libinih-dev libfmt-dev libzstd-dev liblz4-dev liblzma-dev zlib1g-dev
    libbz2-dev libssl-dev nlohmann-json3-dev libcli11-dev
)
run_packages=(dbus-daemon postgresql postgresql-contrib python3 python3-psycopg2 util-linux)
test_packages=(
    "${build_packages[@]}" "${run_packages[@]}"
    cpputest clang clang-format libclang-rt-dev shellcheck python3-pytest python3-dbus
    mmdebstrap debian-archive-keyring barman btrfs-progs xfsprogs e2fsprogs zstd
    systemd-container
)

# packages_missing NAME...: true when at least one is not installed.
packages_missing() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | grep -c '^installed ')
    [ "$installed" -lt $# ]
}

# A new machine's package must not start a PostgreSQL server of its own: tests start theirs.
no_main_cluster() {
    [ ! -e /etc/postgresql-common/createcluster.conf ] || return 0
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
}

install_missing() {
    if [ "$(id -u)" != 0 ]; then
        echo "packages are missing, and only root can install them; one of: $*" >&2
        echo "HINT: run this with sudo" >&2
        return 1
    fi
    echo "installing Debian packages"
    no_main_cluster
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$@" >/dev/null
}
