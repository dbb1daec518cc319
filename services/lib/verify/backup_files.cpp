#include "lib/verify/backup_files.h"

#include <sys/stat.h>

#include <cerrno>

#include "lib/base/error.h"
#include "lib/verify/file_content.h"

namespace coffer::verify {
namespace {

constexpr std::string_view spaces = "pg_tblspc/";

}  // namespace

bool is_left_out(std::string_view path) noexcept {
    return path == "backup_manifest" || path == "pg_wal" || path.starts_with("pg_wal/") || path == "recovery.signal" ||
           path == "standby.signal";
}

std::optional<std::string> fault_of_data(const catalogue::Catalogue& catalogue, std::string_view backup_id) {
    const Path place = catalogue.data_path(backup_id) / "global";
    struct stat status {};
    if (::stat(place.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) return std::nullopt;
        return "is no data directory any more";
    }
    if (errno == ENOENT || errno == ENOTDIR) return "is no data directory any more";
    if (says_damaged(errno)) return unreadable_file;
    throw Error::from_errno(errno, "cannot look at", place.string());
}

BackupFiles::BackupFiles(const config::Server& server, const catalogue::BackupInfo& backup)
    : catalogue_(server), backup_id_(backup.backup_id) {
    if (!backup.parent().empty()) {
        throw Error(ErrorCode::not_supported, "an increment of Barman's is nothing by itself", backup_id_,
                    "let Barman verify it, or verify what pg_combinebackup makes of it");
    }
    std::error_code absent;
    if (std::filesystem::is_directory(place_of("global"), absent)) return;
    throw Error(ErrorCode::not_supported, "the backup is no plain data directory", place_of("").string(),
                "nothing can be told of backups in tar format, and of those whose files are gone");
}

Path BackupFiles::place_of(const std::string& path) const {
    if (!path.starts_with(spaces)) return catalogue_.data_path(backup_id_) / path;
    return catalogue_.backup_path(backup_id_) / path.substr(spaces.size());
}

void BackupFiles::for_each(const std::function<void(const std::string&, std::uint64_t)>& take) const {
    try {
        walk(catalogue_.data_path(backup_id_), "", take);
        for (const auto& entry : std::filesystem::directory_iterator(catalogue_.backup_path(backup_id_))) {
            const std::string name = entry.path().filename().string();
            const bool space = entry.is_directory() && !entry.is_symlink() &&
                               name.find_first_not_of("0123456789") == std::string::npos;
            if (space) walk(entry.path(), std::string(spaces) + name + "/", take);
        }
    } catch (const std::filesystem::filesystem_error& error) {
        if (says_damaged(error.code().value()))
            throw Error(ErrorCode::corrupt, unreadable_file, error.path1().string());
        throw Error::from_errno(error.code().value(), "cannot look at", error.path1().string());
    }
}

void BackupFiles::walk(const Path& root, const std::string& prefix,
                       const std::function<void(const std::string&, std::uint64_t)>& take) const {
    const std::filesystem::recursive_directory_iterator end;
    for (auto entry = std::filesystem::recursive_directory_iterator(root); entry != end; ++entry) {
        const std::string path = prefix + entry->path().lexically_relative(root).string();
        if (path == "pg_wal") entry.disable_recursion_pending();
        if (is_left_out(path)) continue;
        if (entry->is_symlink()) {
            if (!path.starts_with(spaces)) take(path, 0);  // those to the tablespaces
        } else if (!entry->is_directory()) {
            take(path, entry->file_size());
        }
    }
}

}  // namespace coffer::verify
