#pragma once
// The record of one backup: meta/<ID>-backup.info, in Barman's format (key=value lines, Python literals for structures;
// behaviour of Barman 3.4 to 3.20). What Coffer knows beyond that lies beside it in meta/<ID>-coffer.json (Extra).
// Values are plain data. Reading foreign bytes: parse() throws corrupt with the line, never anything else.
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/lsn.h"
#include "lib/wal/segment_name.h"

namespace coffer::catalogue {

enum class BackupStatus { empty, started, waiting_for_wals, done, failed, syncing };
std::string_view name_of(BackupStatus status) noexcept;  // "WAITING_FOR_WALS"
std::optional<BackupStatus> status_named(std::string_view name) noexcept;

// Times as Barman writes them: "2026-11-23 20:54:29.994347+00:00". parse_time takes any offset; a time without one is
// local (Barman before 3.5 wrote such).
std::string format_time(WallTime time);
std::optional<WallTime> parse_time(std::string_view text);

struct Tablespace {
    std::string name;
    std::uint32_t oid = 0;
    std::string location;
};

struct BackupInfo {
    std::string backup_id;  // from the file's name: UTC YYYYMMDDTHHMMSS
    std::string server_name;
    std::string backup_name;  // given by the user, may be empty
    BackupStatus status = BackupStatus::empty;
    std::string mode = "postgres";
    std::string error;
    std::uint32_t version = 0;  // server_version_num: 150018
    std::uint64_t systemid = 0;
    std::string pgdata;
    std::vector<Tablespace> tablespaces;
    TimelineId timeline = 0;
    std::optional<WallTime> begin_time;
    std::optional<WallTime> end_time;
    Lsn begin_xlog;
    Lsn end_xlog;
    std::string begin_wal;
    std::string end_wal;
    std::uint64_t size = 0;
    std::uint64_t deduplicated_size = 0;
    wal::SegmentSize xlog_segment_size;
    std::string config_file, hba_file, ident_file, included_files;
    std::string backup_label;
    bool data_checksums = false;
    bool unreadable = false;  // the record exists but says nothing (error tells why); never written
    // Keys that have no member here (copy_stats, compression, and whatever newer versions write), their values kept as
    // they were so that rewriting loses nothing.
    std::map<std::string, std::string> unknown;

    static BackupInfo parse(std::string_view text, std::string_view backup_id, std::string_view where);
    // complete: every key, for meta/<ID>-backup.info (Barman 3.13.2 and later). barman_3_4: only the keys that Debian
    // 12's Barman 3.4 knows, for base/<ID>/backup.info: it fails on any key that it does not know.
    enum class Dialect { complete, barman_3_4 };
    [[nodiscard]] std::string format(Dialect dialect = Dialect::complete) const;
    // The segments from begin_wal to end_wal, which the backup needs to become consistent; empty while end_wal is
    // unknown.
    [[nodiscard]] std::vector<wal::Segment> required_segments() const;
    // The backup that an incremental one of Barman's is of; empty: it needs no other.
    [[nodiscard]] std::string parent() const;
};

// One bad page found while the backup was written.
struct BadPage {
    std::string file;  // relative to PGDATA ("pg_tblspc/16384/PG_15…/5/16390" for tablespaces)
    std::uint32_t block = 0;
    Lsn page_lsn;
};

// A file of the image that is not what was backed up any more.
struct ImageDamage {
    std::string file;  // as in BadPage; "backup_manifest", "backup.info"
    std::string what;  // "is missing"
    std::vector<std::uint32_t> blocks;
    WallTime found_at{};
};

// meta/<ID>-coffer.json
struct Extra {
    bool unreadable = false;  // there is a file, which says nothing; never written
    bool foreign = false;     // the backup is Barman's: only what the scrub found is known here
    std::uint64_t pages_checked = 0;
    std::uint64_t pages_torn_allowed = 0;  // newer than the backup's start: mended by WAL
    std::vector<BadPage> bad_pages;        // the first thousand
    std::uint64_t bad_pages_total = 0;
    std::uint64_t files = 0;
    std::uint64_t bytes_received = 0;
    double copy_seconds = 0;
    double sync_seconds = 0;
    double wal_wait_seconds = 0;
    double slowed_seconds = 0;      // of copy_seconds: for the sake of the server (backup_politeness)
    std::string manifest_checksum;  // the manifest's own SHA-256
    // How its pages came. way: "full" (the server sent all of them) or "incremental" (those that had changed since
    // base).
    std::string way = "full";
    std::string way_reason;  // why it is full where it might have been incremental; for people
    std::string base;        // the backup that its tree began as a clone of; empty: none
    std::string clone;       // how: "snapshot", "reflink", "hard link", "taken over" (from an attempt that was cut off)
    std::uint64_t bytes_written = 0;       // of all its files: the others are shared with base
    std::optional<WallTime> full_read_at;  // when its pages, or those that it shares, were last all read on the server
    // Of backups by rsync: of a file last written before, by the server's clock (seconds since 1970), size and time
    // tell whether it is the one that is here; 0: of none.
    std::int64_t unchanged_before = 0;
    std::string imported_from;            // the file that it came out of, without its endings; empty: taken here
    std::optional<WallTime> verified_at;  // when all of it was last found to be what was backed up
    std::optional<WallTime> scrubbed_at;  // when a scrub last read all of it, whatever it found
    std::vector<ImageDamage> damage;      // not mended yet: nobody may count on the backup
};

// Throws corrupt; not_supported for one that a newer Coffer wrote.
Extra parse_extra(const std::string& text, const std::string& where);
std::string format_extra(const Extra& extra);

}  // namespace coffer::catalogue
