#include "services/archiver/catalogue_calls.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <array>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/catalogue/wal_release.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"

namespace coffer::archiver {
namespace {

std::uint64_t usec_of(const std::optional<WallTime>& time) {
    return time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) : 0;
}

bus::Options options_of(const catalogue::BackupInfo& info) {
    return {
        {"BackupId", info.backup_id},
        {"Name", info.backup_name},
        {"Status", std::string(catalogue::name_of(info.status))},
        {"Mode", info.mode},
        {"Error", info.error},
        {"Timeline", static_cast<std::uint32_t>(info.timeline)},
        {"SystemId", info.systemid},
        {"ServerVersion", info.version},
        {"BeginUSec", usec_of(info.begin_time)},
        {"EndUSec", usec_of(info.end_time)},
        {"BeginLsn", info.begin_xlog.to_string()},
        {"EndLsn", info.end_xlog.to_string()},
        {"BeginWal", info.begin_wal},
        {"EndWal", info.end_wal},
        {"SizeBytes", info.size},
        {"DeduplicatedBytes", info.deduplicated_size},
    };
}

UniqueFd plain_bytes_in_memory(const Path& path, const std::string& name) {
    UniqueFd memory(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) throw Error::from_errno(errno, "cannot create a file in memory", name);
    wal::decompress_file(path, [&](ByteSpan piece) { files().append(memory.get(), piece, name); });
    ::lseek(memory.get(), 0, SEEK_SET);
    ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return memory;
}

}  // namespace

BackupPage list_backups(const config::Server& server, const bus::Options& filter, std::uint32_t offset,
                        std::uint32_t limit) {
    bus::OptionReader reader(filter);
    const std::string status = reader.take<std::string>("status", "");
    reader.refuse_rest();
    BackupPage page;
    for (const catalogue::BackupInfo& info : catalogue::Catalogue(server).backups()) {
        if (!status.empty() && catalogue::name_of(info.status) != status) continue;
        const std::uint64_t number = page.total++;
        if (number >= offset && (limit == 0 || page.backups.size() < limit)) page.backups.push_back(options_of(info));
    }
    return page;
}

bus::Options get_backup(const config::Server& server, const std::string& backup) {
    return options_of(catalogue::Catalogue(server).get(backup));
}

std::uint64_t delete_backup(const config::Server& server, wal::WalArchive* archive, const std::string& backup) {
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo info = catalogue.get(backup);
    catalogue.remove(info.backup_id);
    log_message(LogLevel::notice, fmt::format("backup {} of server {} was deleted", info.backup_id, server.name),
                {{"SERVER", server.name}, {"BACKUP", info.backup_id}});
    if (archive == nullptr) return 0;
    const auto release = catalogue::wal_released_by(info, catalogue::remaining_backups(server));
    if (!release) return 0;
    const std::vector<std::string> names =
        archive->names_if([&](const std::string& name) { return release->releases(name); });
    archive->remove(names);
    log_info("server {}: {} WAL files before {} were removed", server.name, names.size(), release->before);
    return names.size();
}

UniqueFd open_wal(const config::Server& server, const std::string& name, bool allow_partial) {
    const std::optional<wal::HeldFile> held = wal::find_now(server, name, allow_partial);
    if (!held) throw Error(ErrorCode::no_such_wal, "there is no such WAL file here", name);
    UniqueFd fd = files().open(held->path, O_RDONLY);
    std::array<std::byte, 16> first{};
    const ssize_t got = ::pread(fd.get(), first.data(), first.size(), 0);
    if (got < 0) throw Error::from_errno(errno, "cannot read file", held->path.string());
    if (wal::detect_codec(ByteSpan(first).first(static_cast<std::size_t>(got))) == wal::Codec::none) return fd;
    return plain_bytes_in_memory(held->path, name);
}

}  // namespace coffer::archiver
