// How backups come to be and go: claiming an ID, marking what a crash cut off, removing.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/subvolume.h"
#include "lib/catalogue/catalogue.h"
#include "lib/catalogue/removal_room.h"

namespace coffer::catalogue {
namespace {

constexpr std::string_view delete_suffix = "-delete_this";
constexpr int most_collisions = 3600;

std::string id_at(std::chrono::sys_seconds time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count());
}

// The trees of an image may be subvolumes, and read-only.
void remove_tree(const Path& path) {
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(path, absent)) {
        if (entry.is_directory() && !entry.is_symlink()) remove_directory_tree(entry.path());
    }
    remove_directory_tree(path);
}

// Barman's incremental ones do not count: they are nothing without the others. Nor do damaged ones.
bool counts(const BackupInfo& info) {
    return info.status == BackupStatus::done && info.parent().empty();
}

bool is_unfinished(const BackupInfo& info) {
    return info.status == BackupStatus::started || info.status == BackupStatus::empty;
}

}  // namespace

Catalogue::Claim Catalogue::claim_backup_id(const Clock& clock) const {
    make_directories_durably(server_.basebackups_directory);
    make_directories_durably(server_.meta_directory());
    keep_removal_room(server_);
    auto second = std::chrono::floor<std::chrono::seconds>(clock.now());
    for (int attempt = 0; attempt < most_collisions; ++attempt, second += std::chrono::seconds(1)) {
        const std::string id = id_at(second);
        // The lock comes first: a directory without a record and without a lock is taken for an abandoned backup.
        auto lock = LockFile::try_lock(backup_lock_path(server_, id), LockFile::Mode::exclusive);
        if (!lock || std::filesystem::exists(meta_path(id, "-backup.info")) ||
            std::filesystem::exists(meta_path(id, delete_suffix))) {
            continue;
        }
        if (::mkdir(backup_path(id).c_str(), 0750) == 0) {
            files().sync_directory(server_.basebackups_directory);
            return {id, BackupLock(std::move(*lock))};
        }
        if (errno != EEXIST) throw Error::from_errno(errno, "cannot create directory", backup_path(id).string());
    }
    throw Error(ErrorCode::busy, "no free backup ID within an hour of now", server_.name,
                "check the clock of this machine");
}

bool Catalogue::fail_if_abandoned(const std::string& backup_id) const {
    const auto lock = LockFile::try_lock(backup_lock_path(server_, backup_id), LockFile::Mode::exclusive);
    if (!lock) return false;
    require_known_record(backup_id);
    BackupInfo info = load(backup_id);  // it may have ended while we looked
    if (!is_unfinished(info)) return false;
    // The next backup goes on with what was copied, unless each is to have files of its own. Coffer writes two records
    // and Barman one: what Barman may be copying right now, under a lock of its own, is not ours to discard.
    const bool ours = std::filesystem::exists(meta_path(backup_id, "-backup.info")) &&
                      std::filesystem::exists(backup_path(backup_id) / "backup.info");
    info.status = BackupStatus::failed;
    info.error = "the backup was cut off: the process that wrote it is gone";
    save(info);
    if (ours && !server_.clone_images) discard_trees(backup_id);
    log_warning("backup {} of server {} was cut off and is now marked FAILED", backup_id, server_.name);
    return true;
}

std::vector<std::string> Catalogue::fail_abandoned() const {
    std::vector<std::string> failed;
    for (const BackupInfo& info : backups()) {
        if (!is_unfinished(info)) continue;
        try {
            if (fail_if_abandoned(info.backup_id)) failed.push_back(info.backup_id);
        } catch (const Error& error) {  // one must not keep the others from being looked after
            log_warning("backup {} of server {} was cut off and cannot be marked FAILED: {}", info.backup_id,
                        server_.name, error.what());
        }
    }
    return failed;
}

void Catalogue::check_removable(const BackupInfo& info) const {
    check_removable(info, backups());
}

void Catalogue::check_removable(const BackupInfo& info, const std::vector<BackupInfo>& all) const {
    if (keep_of(info.backup_id) != Keep::none) {
        throw Error(ErrorCode::refused, "the backup is kept", info.backup_id,
                    "release it first: cofferctl keep --release " + server_.name + " " + info.backup_id);
    }
    const auto good = [this](const BackupInfo& one) { return counts(one) && !is_damaged(one.backup_id); };
    if (!counts(info)) return;
    // A damaged one may still be mended, so it goes only where enough others are good.
    const auto left = static_cast<std::uint64_t>(std::count_if(all.begin(), all.end(), good));
    const std::uint64_t without = left - (good(info) ? 1 : 0);
    if (without >= server_.minimum_redundancy) return;
    throw Error(
        ErrorCode::refused,
        fmt::format("server {} has {} good backups and must keep {}", server_.name, left, server_.minimum_redundancy),
        info.backup_id, "take another backup first, or lower minimum_redundancy");
}

void Catalogue::mark_removed(const std::string& backup_id) const {
    std::optional<BackupLock> lock;
    with_removal_room(server_, [&] { lock.emplace(server_, backup_id); });
    const std::vector<BackupInfo> all = backups();
    const auto info =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.backup_id == backup_id; });
    if (info == all.end()) {
        throw Error(ErrorCode::no_such_backup, fmt::format("server {} has no backup {}", server_.name, backup_id));
    }
    check_removable(*info, all);
    for (const BackupInfo& other : all) {
        if (other.parent() != backup_id) continue;
        throw Error(ErrorCode::refused, "an incremental backup needs it: " + other.backup_id, backup_id,
                    "delete that one first");
    }
    with_removal_room(server_, [&] { write_file_durably(meta_path(backup_id, delete_suffix), ""); });
    kill_point("catalogue.remove.marked");
}

void Catalogue::remove_marked(std::string_view backup_id) const {
    // The record inside goes first, so that an old Barman never takes half a tree for a backup.
    const Path inside = backup_path(backup_id) / "backup.info";
    if (std::filesystem::exists(inside)) {
        files().unlink(inside);
        files().sync_directory(backup_path(backup_id));
    }
    remove_tree(backup_path(backup_id));
    files().sync_directory(server_.basebackups_directory);
    kill_point("catalogue.remove.tree");
    for (const std::string_view suffix : {"-backup.info", "-coffer.json", "-keep"}) {
        files().unlink(meta_path(backup_id, suffix));
    }
    files().sync_directory(server_.meta_directory());
    kill_point("catalogue.remove.record");
    files().unlink(meta_path(backup_id, delete_suffix));
    files().sync_directory(server_.meta_directory());
}

bool Catalogue::finish_removal(const std::string& backup_id) const {
    std::optional<LockFile> lock;
    with_removal_room(
        server_, [&] { lock = LockFile::try_lock(backup_lock_path(server_, backup_id), LockFile::Mode::exclusive); });
    if (!lock || !is_hidden(backup_id)) return false;  // an import was published meanwhile
    remove_marked(backup_id);
    log_info("the files of backup {} of server {} are removed", backup_id, server_.name);
    return true;
}

std::vector<std::string> Catalogue::finish_removals() const {
    std::vector<std::string> ids, finished;
    if (!std::filesystem::is_directory(server_.meta_directory())) return finished;
    for (const auto& entry : std::filesystem::directory_iterator(server_.meta_directory())) {
        const std::string name = entry.path().filename().string();
        if (name.size() == 15 + delete_suffix.size() && name.ends_with(delete_suffix))
            ids.push_back(name.substr(0, 15));
    }
    for (const std::string& id : ids) {
        try {
            if (finish_removal(id)) finished.push_back(id);
        } catch (const std::exception& error) {  // must not keep the others
            log_warning("the files of backup {} of server {} are not all removed: {}", id, server_.name, error.what());
        }
    }
    keep_removal_room(server_);
    return finished;
}

void Catalogue::discard_trees(std::string_view backup_id) const {
    if (!std::filesystem::is_directory(backup_path(backup_id))) return;
    for (const auto& entry : std::filesystem::directory_iterator(backup_path(backup_id))) {
        if (entry.is_directory() && !entry.is_symlink()) remove_directory_tree(entry.path());
    }
}

}  // namespace coffer::catalogue
