#pragma once
// What the PostgreSQL server itself says: asked once, within a time limit, for status, check, show-servers and
// diagnose.
//
// Nothing here throws for a server that is down: the reason is a value. Thread-safe; several servers are asked at once.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lib/config/config.h"
#include "lib/pg/conn.h"

namespace coffer::cofferctl {

// Ends every wait of a connection when the time is over, as its stop_fd.
class TimeLimit {
  public:
    explicit TimeLimit(std::chrono::seconds limit);  // 0: none
    [[nodiscard]] int fd() const noexcept { return timer_.get(); }
    [[nodiscard]] bool passed() const noexcept;

  private:
    UniqueFd timer_;
};

struct ServerFacts {
    std::string error;  // why there is no SQL connection; empty: there is one
    std::string streaming_error;
    bool timed_out = false;

    std::uint32_t version = 0;
    bool in_recovery = false;
    bool superuser_or_backup_rights = false;
    std::uint64_t system_identifier = 0;
    std::uint64_t streaming_system_identifier = 0;
    std::string current_lsn;
    std::string current_wal;
    std::uint64_t data_size = 0;
    // wal_level, archive_mode, archive_command, archive_library, data_directory, data_checksums, …
    std::map<std::string, std::string> settings;

    // Of primary_conninfo, where it is given.
    std::string primary_error;
    bool primary_in_recovery = false;
    std::uint64_t primary_system_identifier = 0;
    // Of wal_conninfo and wal_streaming_conninfo, where one of them is given. The slot is there, then.
    std::string wal_error;
    std::string wal_streaming_error;
    bool wal_monitoring_rights = false;
    std::string wal_level_there;
    std::uint64_t wal_system_identifier = 0;
    std::uint64_t wal_streaming_system_identifier = 0;

    bool slot_exists = false;
    bool slot_active = false;
    bool slot_has_position = false;

    std::string last_archived_wal, last_archived_time, last_failed_wal, last_failed_time;
    bool archiver_is_archiving = false;

    [[nodiscard]] bool reachable() const noexcept { return error.empty(); }
    [[nodiscard]] std::string setting(const std::string& name) const;
};

ServerFacts ask_server(const config::Server& server, std::chrono::seconds limit);

}  // namespace coffer::cofferctl
