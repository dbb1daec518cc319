# shellcheck shell=bash disable=SC2154
# The machinery of tools/quickstart: building, processes, and waiting. Sourced by it; what is shown is in story.sh.

say() { printf "%s\n" "$@"; }
step() { if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else say "" "$*"; fi; }
fail() {
    printf 'quickstart: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'HINT: %s\n' "$2" >&2
    exit 1
}

now_ms() { date +%s%3N; }
# seconds_since MS
seconds_since() { awk -v a="$1" -v b="$(now_ms)" 'BEGIN {printf "%.1f", (b - a) / 1000}'; }

as_user() { setpriv --reuid="$user" --regid="$user" --clear-groups env -i "${environment[@]}" "$@"; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local end=$(($(date +%s) + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt $end ] || fail "$what: not within the time allowed" "the logs are in $home/log (kept)"
        sleep 0.05
    done
}

# start NAME COMMAND...: a process as the ordinary user; its id in $home/pids/NAME, its output in $home/log.
start() {
    local name=$1
    shift
    # Not through as_user: the id must be that of the process itself, not of a shell around it.
    setpriv --reuid="$user" --regid="$user" --clear-groups env -i "${environment[@]}" "$@" \
        </dev/null >>"$home/log/$name" 2>&1 &
    echo $! >"$home/pids/$name"
    disown # the shell need not tell how it ended
}

pid_of() { cat "$home/pids/$1"; }

# end NAME SIGNAL: and waits until it is gone.
end() {
    local pid
    [ -f "$home/pids/$1" ] || return 0
    pid=$(pid_of "$1")
    rm -f "$home/pids/$1"
    kill "-$2" "$pid" 2>/dev/null || return 0
    tail --pid="$pid" -f /dev/null
}

end_postmaster() {
    setpriv --reuid="$user" --regid="$user" --clear-groups kill -INT "$1" 2>/dev/null || return 0
    tail --pid="$1" -f /dev/null
}

stop_everything() {
    local each
    for each in load1 load2 load3 load4 scheduler archiver streamer; do end $each TERM; done
    for each in restored early server; do end $each INT; done
    # What somebody restored and started with --keep. Ended as the user who may write that file, not as root.
    for each in "$home"/*/postmaster.pid; do
        [ ! -f "$each" ] || end_postmaster "$(head -n 1 "$each")"
    done
    end bus TERM
}

finish() {
    local status=$?
    trap - EXIT
    give_build_to_owner "$top"
    if [ $status != 0 ]; then
        stop_everything 2>/dev/null
        say "" "The quickstart did not complete. Its files are kept in $home; this removes them:" \
            "  sudo ${COFFER_QUICKSTART_HOME:+COFFER_QUICKSTART_HOME=$home }$top/tools/quickstart --stop"
        tell_packages
    elif [ $keep = no ]; then
        stop_everything 2>/dev/null
        tell_packages
        rm -rf "$home"
    fi
    exit $status
}

# What was installed for this run and stays. Also in $home, for --stop.
tell_packages() {
    local newly
    newly=$(cat "$home/packages" 2>/dev/null || true)
    [ -z "$newly" ] || say "" "The packages that were installed for this stay. To remove them and what came with them:" \
        "  sudo apt-get remove --autoremove ${newly//$'\n'/ }"
}

# The directory is root's, who runs what lies in it; the user has places in it.
prepare() {
    local newly
    step "Preparing"
    newly=$(packages_missing "${build_packages[@]}" "${run_packages[@]}" || true)
    install -d -m 0755 "$home" "$home/pids" "$home/app"
    echo "$newly" >"$home/packages"
    install_missing "${build_packages[@]}" "${run_packages[@]}"
    install -d -o "$user" -g "$user" -m 0750 "$home"/{log,run,etc,etc/coffer.d,box,socket,home}
    install -d -o "$user" -g "$user" -m 0700 "$home"/{server,early,restored,another}
    build
    pgbin=$(find /usr/lib/postgresql -path '*/bin/postgres' -printf '%h\n' | sort -V | tail -1)
    port=$(free_port)
    environment=("PATH=$home/app/bin:$pgbin:/usr/bin:/bin" LC_ALL=C.UTF-8 "HOME=$home/home"
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$home/run/bus" "COFFER_CONFIG=$home/etc/coffer.conf"
        "COFFER_RUNTIME_DIR=$home/run" "COFFER_LIBEXEC=$home/app/libexec/coffer" "PGHOST=$home/socket"
        "PGPORT=$port" PGDATABASE=postgres PGUSER=postgres)
    write_runner >"$home/run-as-$user"
    chmod 0755 "$home/run-as-$user"
}

# A command of its own for what people try after --keep.
write_runner() {
    printf '#!/bin/sh\n# Runs a command as user %s, with the names and places of this quickstart.\n' "$user"
    printf 'exec setpriv --reuid=%q --regid=%q --clear-groups env -i TERM="$TERM"' "$user" "$user"
    printf ' %q' "${environment[@]}"
    printf ' "$@"\n'
}

build() {
    local began log=$home/log/build
    began=$(now_ms)
    say "Building Coffer: about 8 minutes on 2 cores, less on more, seconds when it was built before ..."
    export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1
    (cd "$top" && cmake --preset release -DCOFFER_TESTS=OFF && cmake --build build/release -j "$(nproc)" &&
        cmake --install build/release --prefix "$home/app") 2>&1 | tee "$log" | build_progress || {
        grep -E -m 3 -A 3 'error:|FAILED:|CMake Error' "$log" >&2 || true
        fail "the build failed" "all of its output is in $log (kept)"
    }
    say "Built in $(seconds_since "$began") s."
}

# Of ninja's lines "[n/m] Building ...": one that is written over itself on a terminal, every tenth part elsewhere.
build_progress() {
    local line told=0 part terminal=no
    [ ! -t 1 ] || terminal=yes
    while IFS= read -r line; do
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] && ${BASH_REMATCH[2]} -ge 10 ]] || continue
        part=$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2]))
        if [ $terminal = yes ]; then
            printf '\r\033[K  [%d/%d]' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        elif [ $part -gt $told ]; then
            printf '  [%d/%d]\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        fi
        told=$part
    done
    [ $terminal = no ] || printf '\r\033[K'
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sql() { as_user psql -XqAt -v ON_ERROR_STOP=1 -c "$1"; }
# sql_at PORT STATEMENT
sql_at() { as_user psql -XqAt -v ON_ERROR_STOP=1 -p "$1" -c "$2"; }
# true_in_sql STATEMENT: whether its value is true
true_in_sql() { [ "$(sql "$1")" = t ]; }

# start_postgres NAME DIRECTORY PORT [OPTION...]
start_postgres() {
    local name=$1 directory=$2 its_port=$3
    shift 3
    start "$name" "$pgbin/postgres" -D "$directory" -p "$its_port" -k "$home/socket" -c listen_addresses=127.0.0.1 \
        -c logging_collector=off "$@"
    wait_for 60 "PostgreSQL in $directory accepts connections" as_user pg_isready -q -p "$its_port"
}

bus_configuration() {
    cat <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$home/run/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
END
}

box_configuration() {
    cat >"$home/etc/coffer.conf" <<END
[coffer]
coffer_home = $home/box
configuration_files_directory = $home/etc/coffer.d
barman_lock_directory = $home/run
compression = zstd
END
    cat >"$home/etc/coffer.d/shop.conf" <<END
[shop]
description = a web shop's database
conninfo = host=127.0.0.1 port=$port user=postgres dbname=postgres
streaming_conninfo = host=127.0.0.1 port=$port user=postgres
backup_method = postgres
streaming_archiver = on
slot_name = coffer
create_slot = auto
immediate_checkpoint = true
END
}
