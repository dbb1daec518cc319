#pragma once
// Takes a base backup from a server (PostgreSQL 13 to 18) into a directory: BASE_BACKUP, tar streams, files.
//
// Source: PostgreSQL documentation, "Streaming Replication Protocol". The server is asked for a manifest with CRC-32C.
// Page checksums are verified here (tree_writer.h); the server only does so too when it is asked to, which costs its
// processor some time, but reads torn pages again before it sends them. It is not asked for a tablespace map, so that
// the links below pg_tblspc come with the archive, as for pg_basebackup in plain format. Nothing is synced. One thread;
// every wait ends when the connection's stop_fd becomes readable.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/image/backup_stream.h"
#include "lib/image/tree_writer.h"
#include "lib/pg/conn.h"

namespace coffer::image {

struct BaseBackupOptions {
    std::string label;
    bool fast_checkpoint = false;
    std::uint64_t max_rate_kb = 0;  // KB/s; 0: as fast as it goes
    bool server_verifies = false;   // page checksums
    bool incremental = false;       // against the manifest that was uploaded on this connection
};

struct BaseBackupBegin {
    Lsn begin;
    TimelineId timeline = 0;
    std::vector<TablespaceRow> tablespaces;
    std::uint64_t estimated_size = 0;  // bytes
};

struct BaseBackupEnd {
    Lsn end;
    TimelineId timeline = 0;
    bool server_found_damage = false;  // bad page checksums, in a backup that it sent nonetheless
};

// The command, in the dialect of the server.
std::string base_backup_command(std::uint32_t major_version, const BaseBackupOptions& options);

class BaseBackup {
  public:
    using OnBytes = std::function<void(std::uint64_t received)>;

    // Sends the command and waits for the checkpoint. conn: in replication mode; must outlive this.
    BaseBackup(pg::PgConn& conn, const BaseBackupOptions& options);

    [[nodiscard]] const BaseBackupBegin& begin() const noexcept { return begin_; }
    // Writes everything, and the manifest as data/backup_manifest. on_bytes is called often.
    BaseBackupEnd receive(TreeWriter& writer, const OnBytes& on_bytes);

  private:
    void read_begin();
    void read_tablespaces();
    BaseBackupEnd read_end(const pg::PgResult& result);

    pg::PgConn& conn_;
    BaseBackupBegin begin_;
};

}  // namespace coffer::image
