#include "lib/restore/fitness.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/base/error.h"
#include "lib/restore/backup_chain.h"

namespace coffer::restore {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

bool given(const BackupInfo& backup, const char* key) {
    const auto found = backup.unknown.find(key);
    return found != backup.unknown.end() && !found->second.empty() && found->second != "None" && found->second != "''";
}

void require_finished(const BackupInfo& backup, bool damage_allowed, std::vector<std::string>& warnings) {
    switch (backup.status) {
        case BackupStatus::done:
            return;
        case BackupStatus::waiting_for_wals:
            warnings.push_back(
                fmt::format("backup {} is still waiting for WAL by its record; all that it needs was found here now",
                            backup.backup_id));
            return;
        case BackupStatus::failed:
            if (damage_allowed && !backup.unreadable && backup.end_xlog.valid()) {
                warnings.push_back("this backup failed: " + backup.error);
                return;
            }
            throw Error(ErrorCode::refused, "this backup failed" + (backup.error.empty() ? "" : ": " + backup.error),
                        backup.backup_id, "choose another; 'latest' and 'auto' take finished ones only");
        default:
            throw Error(ErrorCode::refused,
                        fmt::format("this backup is not finished (state {})", catalogue::name_of(backup.status)),
                        backup.backup_id, "wait until it is, or choose another");
    }
}

constexpr std::size_t most_named = 10;

constexpr std::array<std::string_view, 6> left_files{"postmaster.pid", "postmaster.opts",      "recovery.signal",
                                                     "standby.signal", "postgresql.auto.conf", "global/pg_control"};
// Directories that are kept empty, as PostgreSQL's own base backup does.
constexpr std::array<std::string_view, 8> emptied_directories{"pg_wal/",      "pg_replslot/", "pg_dynshmem/",
                                                              "pg_notify/",   "pg_serial/",   "pg_snapshots/",
                                                              "pg_stat_tmp/", "pg_subtrans/"};

}  // namespace

void require_fit(const BackupInfo& backup, const Path& data_path, bool damage_allowed,
                 std::vector<std::string>& warnings) {
    require_finished(backup, damage_allowed, warnings);
    if (given(backup, "encryption") || given(backup, "snapshots_info")) {
        throw Error(ErrorCode::not_supported, "an encrypted or snapshot backup of Barman cannot be restored here",
                    backup.backup_id, "restore it with barman, or choose another");
    }
    const bool tar = in_tar_format(backup);
    for (const char* file : {"PG_VERSION", "global/pg_control"}) {
        if (tar || std::filesystem::is_regular_file(data_path / file)) continue;
        throw Error(ErrorCode::corrupt, "a file that every data directory has is not in the backup",
                    (data_path / file).string(), "choose another backup");
    }
    if (!tar && !std::filesystem::exists(data_path / "backup_label") && backup.backup_label.empty()) {
        throw Error(ErrorCode::corrupt,
                    "the backup has no backup_label, without which PostgreSQL would not recover it rightly",
                    (data_path / "backup_label").string(), "choose another backup");
    }
    if (backup.version < 130000) {
        throw Error(ErrorCode::not_supported, "backups of PostgreSQL before 13 are not restored",
                    fmt::format("{} ({})", backup.backup_id, backup.version), "restore it with barman");
    }
    if (!backup.begin_xlog.valid() || !backup.end_xlog.valid() || backup.timeline == 0) {
        throw Error(ErrorCode::corrupt, "the record of the backup does not say where in WAL it begins and ends",
                    backup.backup_id, "choose another backup");
    }
}

void require_undamaged(const std::optional<catalogue::Extra>& extra, const std::string& backup_id, bool damage_allowed,
                       std::vector<std::string>& warnings) {
    if (!extra || extra->damage.empty()) return;
    std::string files;
    for (std::size_t i = 0; i < std::min(most_named, extra->damage.size()); ++i) {
        const catalogue::ImageDamage& each = extra->damage[i];
        files += fmt::format("{}{} {}", i == 0 ? "" : ", ", each.file, each.what);
        if (!each.blocks.empty()) files += fmt::format(" (blocks {})", fmt::join(each.blocks, ", "));
    }
    if (extra->damage.size() > most_named) files += ", …";
    const std::string what = fmt::format("the scrub found this backup damaged: {}", files);
    if (!damage_allowed) {
        throw Error(ErrorCode::refused, what, backup_id,
                    "restore another backup ('auto' takes one that is sound), or this one in spite of its damage with "
                    "--no-verify");
    }
    warnings.push_back(what);
}

bool left_out(const std::string& relative, bool tablespaces_moved) {
    if (std::find(left_files.begin(), left_files.end(), relative) != left_files.end()) return true;
    if (relative == "tablespace_map" && tablespaces_moved) return true;
    return std::any_of(emptied_directories.begin(), emptied_directories.end(),
                       [&](std::string_view directory) { return relative.starts_with(directory); });
}

}  // namespace coffer::restore
