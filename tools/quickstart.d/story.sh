# shellcheck shell=bash disable=SC2154
# What tools/quickstart shows, step by step. Sourced by it; the machinery is in box.sh.
#
# Four clients insert orders, each one commit, synchronously: COMMIT returns when the box has it on disk. Each client's
# psql writes the row's number down after its COMMIT returned, so load*.acked is what the shop promised its customers.

start_database() {
    step "1. A database"
    as_user initdb --data-checksums --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
        --pgdata="$home/server" >"$home/log/initdb"
    start_postgres server "$home/server" "$port"
    sql "create table customers as select n as id, 'customer ' || n as name from generate_series(1, 10000) n;
         create table orders(client int, n int, at timestamptz default clock_timestamp(), note text, primary key(client, n))"
    say "PostgreSQL $(sql 'show server_version') on 127.0.0.1:$port, checksums on; 10000 customers."
}

start_box() {
    step "2. Coffer receives every commit"
    bus_configuration >"$home/etc/bus.conf"
    start bus dbus-daemon --nofork --nopidfile --config-file="$home/etc/bus.conf"
    wait_for 10 "the private bus" test -S "$home/run/bus"
    box_configuration
    for service in streamer archiver scheduler; do
        start "$service" "$home/app/libexec/coffer/coffer-$service" --config "$home/etc/coffer.conf" --runtime-dir "$home/run"
    done
    wait_for 30 "streaming" true_in_sql "select count(*) > 0 from pg_stat_replication where state = 'streaming'"
    sql "alter system set synchronous_standby_names = '*'"
    sql "select pg_reload_conf()" >/dev/null
    wait_for 30 "synchronous replication" true_in_sql \
        "select count(*) > 0 from pg_stat_replication where sync_state in ('sync', 'quorum')"
    say "coffer-streamer is the synchronous standby: COMMIT returns when the box has it on disk."
}

# Each client inserts its next order as soon as the last one is committed, and notes what was acknowledged.
start_clients() {
    local client
    for client in 1 2 3 4; do
        : >"$home/load$client.acked"
        chown "$user:" "$home/load$client.acked"
        # The inner shell's variables, not ours
        # shellcheck disable=SC2016
        start "load$client" bash -c 'n=0; while n=$((n + 1)); do
            echo "insert into orders(client, n, note) values ($0, $n, repeat(chr(65 + $n % 26), 100)) returning n;" || exit
        done | exec psql -XqAt >"$1" 2>/dev/null' "$client" "$home/load$client.acked"
    done
}

# The last order that a client was told is safe.
acknowledged() { tail -n 1 "$home/load$1.acked" | grep -E '^[0-9]+$' || echo 0; }
acknowledged_total() {
    local client total=0
    for client in 1 2 3 4; do total=$((total + $(acknowledged $client))); done
    echo $total
}
acknowledged_at_least() { [ "$(acknowledged_total)" -ge "$1" ]; }

exposure() { as_user cofferctl status shop 2>/dev/null | sed -n 's/^\tExposure: //p'; }

back_up_under_load() {
    local began
    step "3. A backup while four clients insert orders"
    start_clients
    wait_for 30 "orders" acknowledged_at_least 200
    began=$(now_ms)
    as_user cofferctl backup shop --wait
    backup_seconds=$(seconds_since "$began")
    say "Backup complete and restorable after $backup_seconds s; meanwhile $(acknowledged_total) orders were acknowledged."
    as_user cofferctl list-backups shop
}

lose_everything() {
    step "4. Two disasters"
    wait_for 30 "orders" acknowledged_at_least $(($(acknowledged_total) + 500))
    before_drop=$(sql "select clock_timestamp()")
    drop_xid=$(sql "begin; select pg_current_xact_id(); drop table customers; commit")
    say "Somebody drops the table customers (transaction $drop_xid). Orders go on, unaware."
    wait_for 30 "orders" acknowledged_at_least $(($(acknowledged_total) + 1000))
    exposure_seen=$(exposure || true)
    end server KILL
    for client in 1 2 3 4; do end "load$client" TERM; done
    say "Then the server is killed (SIGKILL) and its directory deleted. Exposure just before: ${exposure_seen:-unknown}."
    wait_for 30 "the server's last processes end" rm -rf "$home/server"
    orders=$(acknowledged_total)
    say "$orders orders had been acknowledged until then."
}

# restore_to NAME OPTIONS...: restores the backup into $home/NAME and starts it as process NAME on a new port.
restore_to() {
    local name=$1 began
    shift
    began=$(now_ms)
    say "\$ cofferctl restore shop latest $home/$name $*"
    as_user cofferctl restore shop latest "$home/$name" "$@"
    restore_seconds=$(seconds_since "$began")
    restored_port=$(free_port)
    # The restored server has no synchronous standby yet: commits must not wait for one.
    start_postgres "$name" "$home/$name" "$restored_port" -c synchronous_standby_names=
    wait_for 60 "recovery ends" promoted "$restored_port"
    ready_seconds=$(seconds_since "$began")
}

promoted() { [ "$(sql_at "$1" 'select pg_is_in_recovery()')" = f ]; }

bring_back_before_the_drop() {
    step "5. Back to just before the DROP"
    restore_to early --target-xid "$drop_xid" --exclusive --target-action promote
    customers=$(sql_at "$restored_port" "select count(*) from customers")
    early_orders=$(sql_at "$restored_port" "select count(*) from orders")
    say "Restored in $restore_seconds s, open after $ready_seconds s: $customers customers, $early_orders orders."
    [ "$customers" = 10000 ] || fail "customers are missing: $customers of 10000"
    early_seconds=$ready_seconds
    early_port=$restored_port
    [ $keep = yes ] || end early INT
}

bring_back_the_very_end() {
    local client there missing=0
    step "6. Back to the very end"
    restore_to restored
    for client in 1 2 3 4; do
        # All numbers up to the last acknowledged one; at most one more, whose answer never arrived.
        there=$(sql_at "$restored_port" "select count(*) from orders where client = $client and n <= $(acknowledged $client)")
        missing=$((missing + $(acknowledged $client) - there))
    done
    restored_orders=$(sql_at "$restored_port" "select count(*) from orders")
    say "Restored in $restore_seconds s, open after $ready_seconds s: $restored_orders orders."
    say "Of $orders acknowledged ones, $missing are missing."
    [ $missing = 0 ] || fail "$missing acknowledged orders are missing"
}

summary() {
    step "Summary"
    say "backup under load             $backup_seconds s" \
        "exposure before the disaster  ${exposure_seen:-unknown}" \
        "back before the DROP          $early_seconds s, $customers of 10000 customers" \
        "back to the very end          $ready_seconds s, $restored_orders orders, 0 of $orders acknowledged missing"
    if [ $keep = yes ]; then
        what_to_try
    else
        say "" "All of it is gone again. To look around in it: sudo tools/quickstart --keep" \
            "How to protect a real server: README.md, \"Deploying\"."
    fi
}

# Complete commands, to be copied.
what_to_try() {
    local as="sudo $home/run-as-$user" another_port options
    another_port=$(free_port)
    options="-p $another_port -k $home/socket -c logging_collector=off -c synchronous_standby_names="
    step "Everything is still running. What to try"
    say "The restored databases: to just before the DROP, and to the very end" \
        "  $as psql -p $early_port" \
        "  $as psql -p $restored_port" \
        "The box. Its server was destroyed above, so status and check say that it cannot be reached; backups and WAL" \
        "are there all the same:" \
        "  $as cofferctl status shop" \
        "  $as cofferctl list-backups shop" \
        "  $as cofferctl show-backup shop latest" \
        "A restore of your own, to the moment before the DROP, and the start of its server:" \
        "  $as cofferctl restore shop latest $home/another --target-time '$before_drop'" \
        "  $as pg_ctl start -w -D $home/another -l $home/log/another -o '$options'" \
        "  $as psql -p $another_port -c 'select count(*) from customers'" \
        "The end of it all:" \
        "  sudo ${COFFER_QUICKSTART_HOME:+COFFER_QUICKSTART_HOME=$home }$top/tools/quickstart --stop"
}
