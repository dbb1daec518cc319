#include "lib/hooks/variables.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include <fmt/format.h>

#include "lib/base/unique_fd.h"
#include "lib/catalogue/catalogue.h"
#include "lib/wal/codec.h"

namespace coffer::hooks {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

bool counts(const BackupInfo& info) {
    return info.status == BackupStatus::done || info.status == BackupStatus::waiting_for_wals;
}

}  // namespace

Variables of_backup(const config::Server& server, const BackupInfo& backup) {
    const catalogue::Catalogue catalogue(server);
    std::string previous, next;
    for (const BackupInfo& other : catalogue.backups()) {
        if (!counts(other)) continue;
        if (other.backup_id < backup.backup_id) previous = other.backup_id;
        if (other.backup_id > backup.backup_id && next.empty()) next = other.backup_id;
    }
    return {{"BACKUP_DIR", catalogue.backup_path(backup.backup_id).string()},
            {"BACKUP_ID", backup.backup_id},
            {"BACKUP_INFO_PATH", (server.meta_directory() / (backup.backup_id + "-backup.info")).string()},
            {"PREVIOUS_ID", previous},
            {"NEXT_ID", next},
            {"STATUS", std::string(catalogue::name_of(backup.status))}};
}

Variables of_wal(const std::string& name, const Path& file) {
    std::string size, time, compression;
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (fd && ::fstat(fd.get(), &status) == 0) {
        size = std::to_string(status.st_size);
        time = fmt::format("{}.{:06}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec / 1000);
        std::array<std::byte, 16> first{};
        const ssize_t got = ::pread(fd.get(), first.data(), first.size(), 0);
        const auto codec = wal::detect_codec(ByteSpan(first.data(), static_cast<std::size_t>(got > 0 ? got : 0)));
        if (codec != wal::Codec::none) compression = config::name_of(codec);
    }
    return {
        {"SEGMENT", name}, {"FILE", file.string()}, {"SIZE", size}, {"TIMESTAMP", time}, {"COMPRESSION", compression}};
}

Variables of_recovery(const config::Server& server, const BackupInfo& backup, const Recovery& recovery) {
    Variables all = of_backup(server, backup);
    all.insert(all.end(), {{"DESTINATION_DIRECTORY", recovery.destination.string()},
                           {"TABLESPACES", recovery.tablespaces},
                           {"REMOTE_COMMAND", recovery.remote_command},
                           {"RECOVER_OPTIONS", recovery.options}});
    return all;
}

}  // namespace coffer::hooks
