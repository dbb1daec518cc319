-- The two roles that a box needs on a PostgreSQL server (13 to 18), with the least privileges: no superuser.
--
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f roles.sql
--   psql -X -v ON_ERROR_STOP=1 -d postgres -v role=barman -v streaming_role=streaming_barman -f roles.sql
--
-- As a superuser, in the database that conninfo names (rights on functions are those of one database), on the primary. May
-- be run again, also for roles that exist. They get no password here: set one with \password, or let pg_hba.conf ask
-- for a certificate.
\if :{?role}
\else
    \set role coffer
\endif
\if :{?streaming_role}
\else
    \set streaming_role coffer_streaming
\endif

SELECT current_setting('server_version_num')::int >= 150000 AS has_15 \gset
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS is_new,
       NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'streaming_role') AS streaming_is_new \gset

\if :is_new
    CREATE ROLE :"role" LOGIN;
\endif
\if :streaming_is_new
    CREATE ROLE :"streaming_role" LOGIN REPLICATION;
\else
    ALTER ROLE :"streaming_role" LOGIN REPLICATION;
\endif

-- conninfo: settings and activity are looked at, WAL segments ended, restore points made.
GRANT pg_read_all_settings, pg_read_all_stats TO :"role";
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text) TO :"role";
-- Pages that were torn while a backup read them are read again. Without these two the server verifies checksums itself.
GRANT pg_read_server_files TO :"role";
GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO :"role";

\if :has_15
    -- primary_checkpoint_timeout, and switch-wal --force.
    GRANT pg_checkpoint TO :"role";
    -- Barman's backup_method = rsync, while both are in use.
    GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO :"role";
\else
    GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean) TO :"role";
\endif
