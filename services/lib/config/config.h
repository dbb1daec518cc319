#pragma once
// The configuration as the services see it: every value resolved (server, then global, then default), every problem
// kept beside the server it concerns. Keys, units, inheritance and defaults are Barman's (documentation of Barman 3.17,
// barman(5)); what Coffer adds is marked "own key". Values are immutable after loading; share them by const reference
// or copy between threads.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/files.h"
#include "lib/config/hooks.h"
#include "lib/config/retention_policy.h"
#include "lib/pace/politeness.h"

namespace coffer::config {

// One thing wrong with a configuration file. A problem with fatal = true disables its server; others are warnings and
// the value is ignored.
struct Problem {
    Path file;
    int line = 0;  // 0: the file as a whole
    std::string text;
    std::string remedy;
    bool fatal = false;
    [[nodiscard]] std::string to_string() const;  // "file:line: text"
};

enum class BackupMethod { postgres, rsync, local_rsync };
std::string_view name_of(BackupMethod method) noexcept;  // "local-rsync"
enum class Codec { none, gzip, bzip2, xz, zstd, lz4 };

std::string_view name_of(Codec codec) noexcept;
std::optional<Codec> codec_named(std::string_view name) noexcept;

struct Server {
    std::string name;
    std::string description;
    bool active = true;
    bool disabled = false;  // by a fatal problem
    std::vector<Problem> problems;
    Path defined_in;
    Path main_file;  // of the configuration, absolute

    std::string conninfo;
    std::string streaming_conninfo;  // conninfo where not given
    std::string primary_conninfo;
    std::string wal_conninfo;  // of the server that wal is streamed from; conninfo where nothing else is given
    std::string wal_streaming_conninfo;  // the same for replication; streaming_conninfo where nothing else is given
    bool other_wal_host = false;         // one of the two is given
    std::chrono::seconds primary_checkpoint_timeout{0};  // 0: the primary of a standby is not asked for a checkpoint
    std::string ssh_command;

    BackupMethod backup_method = BackupMethod::postgres;
    bool immediate_checkpoint = false;
    std::uint64_t bandwidth_limit_kb = 0;                  // KB/s, 0 = none
    pace::Manners backup_politeness = pace::Manners::off;  // own key
    std::string streaming_backup_name = "barman_streaming_backup";
    // Of backups by rsync.
    std::map<std::string, std::uint64_t> tablespace_bandwidth_limit_kb;  // by name
    bool network_compression = false;
    std::uint32_t basebackup_retry_times = 0;
    std::chrono::seconds basebackup_retry_sleep{30};
    std::uint32_t jobs_start_batch_size = 10;  // so many in each period
    std::chrono::seconds jobs_start_batch_period{1};
    bool external_configuration = false;  // backup_options: configuration files elsewhere are not part of the backup
    bool clone_images = true;             // false: reuse_backup = off
    std::chrono::seconds full_read_interval{std::chrono::weeks(4)};  // own key
    std::chrono::seconds scrub_interval{std::chrono::weeks(4)};      // own key; 0: no scrub
    std::uint64_t scrub_rate = 100'000'000;                          // own key; bytes a second, 0 = no limit

    bool archiver = false;
    bool streaming_archiver = false;
    std::uint64_t streaming_bandwidth_limit = 0;  // own key; bytes a second, 0 = none
    std::string streaming_archiver_name = "barman_receive_wal";
    std::uint32_t archiver_batch_size = 0;            // 0 = all
    std::uint32_t streaming_archiver_batch_size = 0;  // 0 = all
    std::optional<std::string> slot_name;
    bool create_slot = false;  // create_slot = auto
    Codec compression = Codec::none;
    std::string compression_level = "medium";  // low, medium, high or a number

    std::uint32_t minimum_redundancy = 0;
    std::string retention_policy;
    std::optional<std::chrono::seconds> wal_retention_window;  // nullopt: as far as retention_policy goes
    RetentionTiers retention_tiers;                            // own key
    std::optional<std::chrono::seconds> last_backup_maximum_age;
    std::optional<std::uint64_t> last_backup_minimum_size;
    std::optional<std::chrono::seconds> last_wal_maximum_age;
    std::optional<std::uint32_t> max_incoming_wals_queue;
    std::chrono::seconds check_timeout{30};
    bool get_wal_by_default = false;        // recovery_options = get-wal
    bool delta_restore_by_default = false;  // recovery_options = delta-restore
    std::uint32_t parallel_jobs = 1;
    Hooks hooks;

    Path backup_directory;
    Path basebackups_directory;
    Path wals_directory;
    Path incoming_wals_directory;
    Path streaming_wals_directory;
    Path errors_directory;
    Path xlogdb_directory;

    // Every key that was read or inherited or defaulted, as text, for show-servers and diagnose (passwords masked).
    std::map<std::string, std::string> effective;

    // Where the catalogue keeps "meta": beside basebackups_directory, as Barman does.
    [[nodiscard]] Path meta_directory() const { return backup_directory / "meta"; }
    [[nodiscard]] bool usable() const noexcept { return !disabled; }
};

struct Config {
    Path main_file;
    Path coffer_home;  // key coffer_home, or barman_home
    Path lock_directory;
    Path configuration_files_directory;
    std::string log_level = "INFO";
    std::vector<Problem> problems;  // global ones
    std::map<std::string, Server> servers;

    // Throws no_such_server with the names that exist as the remedy.
    [[nodiscard]] const Server& server(std::string_view name) const;
};

// The file to read: given (--config), else $COFFER_CONFIG, else /etc/coffer/coffer.conf, else the places where Barman
// looks.
Path find_config_file(const std::optional<Path>& given);
// Reads the main file and the folder of server files. Throws only when the main file cannot be read at all; whatever
// else is wrong becomes a Problem.
Config load(const Path& main_file);

}  // namespace coffer::config
