// How a backup that was taken elsewhere comes to be: hidden until all of it is there.
#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"

namespace coffer::catalogue {
namespace {

constexpr std::string_view delete_suffix = "-delete_this";

Error busy(const std::string& backup_id) {
    return Error(ErrorCode::busy, "this backup is being imported or removed", backup_id,
                 "try again when that has ended");
}

}  // namespace

bool Catalogue::is_hidden(std::string_view backup_id) const {
    return std::filesystem::exists(meta_path(backup_id, delete_suffix));
}

LockFile Catalogue::begin_import(const std::string& backup_id) const {
    make_directories_durably(server_.basebackups_directory);
    make_directories_durably(server_.meta_directory());
    // What an import that was cut off has left.
    if (is_hidden(backup_id)) (void)finish_removal(backup_id);
    auto lock = LockFile::try_lock(backup_lock_path(server_, backup_id), LockFile::Mode::exclusive);
    if (!lock || is_hidden(backup_id)) throw busy(backup_id);
    const Path place = backup_path(backup_id);
    if (std::filesystem::exists(place) || std::filesystem::exists(meta_path(backup_id, "-backup.info"))) {
        throw Error(ErrorCode::refused, fmt::format("server {} has a backup {} already", server_.name, backup_id),
                    place.string(), "import it under another server, or delete the one that is here first");
    }
    write_file_durably(meta_path(backup_id, delete_suffix), "");
    kill_point("catalogue.import.marked");
    if (::mkdir(place.c_str(), 0750) != 0) {
        throw Error::from_errno(errno, "cannot create directory", place.string());
    }
    files().sync_directory(server_.basebackups_directory);
    if (!lock->share() || !is_hidden(backup_id) || !std::filesystem::exists(place)) throw busy(backup_id);
    return std::move(*lock);
}

BackupInfo Catalogue::hidden(const std::string& backup_id) const {
    // The removal of a deleted one begins with the record inside.
    if (!is_hidden(backup_id) || !std::filesystem::exists(meta_path(backup_id, "-backup.info")) ||
        !std::filesystem::exists(backup_path(backup_id) / "backup.info")) {
        throw Error(ErrorCode::no_such_backup, fmt::format("server {} imports no backup {}", server_.name, backup_id));
    }
    return load(backup_id);
}

void Catalogue::record_import(const BackupInfo& info, const Extra& extra) const {
    write_keep(info.backup_id, Keep::standalone);
    save(info.backup_id, extra);
    save(info);
    kill_point("catalogue.import.recorded");
}

void Catalogue::publish(std::string_view backup_id) const {
    kill_point("catalogue.import.stored");
    files().unlink(meta_path(backup_id, delete_suffix));
    files().sync_directory(server_.meta_directory());
    kill_point("catalogue.import.published");
}

}  // namespace coffer::catalogue
