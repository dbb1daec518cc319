#include "services/archiver/catalogue_calls.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/catalogue/wal_release.h"
#include "lib/wal/codec.h"
#include "lib/wal/holdings.h"
#include "services/archiver/expiry.h"
#include "services/archiver/hooked_removal.h"
#include "services/archiver/hooked_wal.h"

namespace coffer::archiver {
namespace {

std::uint64_t usec_of(const std::optional<WallTime>& time) {
    return time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) : 0;
}

bus::Options options_of(const catalogue::BackupInfo& info, const retention::Judgement& judgement) {
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
        {"Retention", judgement.status()},
        {"RetentionReason", judgement.why},
    };
}

const retention::Judgement& judgement_of(const retention::Decision& decision, const std::string& backup_id) {
    static const retention::Judgement none;
    const auto found = std::find_if(decision.backups.begin(), decision.backups.end(),
                                    [&](const retention::Judgement& each) { return each.backup_id == backup_id; });
    return found == decision.backups.end() ? none : *found;  // it has come or gone this moment
}

// Increments of it, and theirs, the newest first. Barman's only.
std::vector<catalogue::BackupInfo> descendants(const catalogue::Catalogue& catalogue,
                                               const catalogue::BackupInfo& backup) {
    std::vector<catalogue::BackupInfo> found{backup};
    for (const catalogue::BackupInfo& info : catalogue.backups()) {
        const auto is_parent = [&](const catalogue::BackupInfo& each) { return each.backup_id == info.parent(); };
        if (std::any_of(found.begin(), found.end(), is_parent)) found.push_back(info);
    }
    return {found.rbegin(), found.rend() - 1};
}

constexpr int most_attempts = 10;

void require_archived_name(const std::string& name) {
    const wal::FileKind kind = wal::kind_of(name);
    if (kind != wal::FileKind::unknown && kind != wal::FileKind::temporary) return;
    throw Error(ErrorCode::invalid_argument, "this is no name of a WAL file", name);
}

wal::WalArchive& opened(wal::WalArchive* archive) {
    if (archive != nullptr) return *archive;
    throw Error(ErrorCode::busy, "the WAL archive is not open", {}, "see the server's State, and try again");
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

BackupPage list_backups(const config::Server& server, const wal::WalArchive* archive, const bus::Options& filter,
                        std::uint32_t offset, std::uint32_t limit) {
    bus::OptionReader reader(filter);
    const std::string status = reader.take<std::string>("status", "");
    reader.refuse_rest();
    const retention::Decision decision = decide_now(server, archive, Clock());
    BackupPage page;
    for (const catalogue::BackupInfo& info : catalogue::Catalogue(server).backups()) {
        if (!status.empty() && catalogue::name_of(info.status) != status) continue;
        const std::uint64_t number = page.total++;
        if (number >= offset && (limit == 0 || page.backups.size() < limit))
            page.backups.push_back(options_of(info, judgement_of(decision, info.backup_id)));
    }
    return page;
}

bus::Options get_backup(const config::Server& server, const wal::WalArchive* archive, const std::string& backup) {
    const catalogue::BackupInfo info = catalogue::Catalogue(server).get(backup);
    return options_of(info, judgement_of(decide_now(server, archive, Clock()), info.backup_id));
}

void keep_backup(const config::Server& server, const std::string& backup, const std::string& target) {
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo info = catalogue.get(backup);
    for (const catalogue::Keep keep : {catalogue::Keep::none, catalogue::Keep::full, catalogue::Keep::standalone}) {
        if (target != name_of(keep)) continue;
        catalogue.set_keep(info.backup_id, keep);
        log_message(LogLevel::notice,
                    fmt::format("backup {} of server {} is {}", info.backup_id, server.name,
                                keep == catalogue::Keep::none ? "kept no more" : "kept, target " + target),
                    {{"SERVER", server.name}, {"BACKUP", info.backup_id}});
        return;
    }
    throw Error(ErrorCode::invalid_argument, "'" + target + "' is no target to keep a backup for", info.backup_id,
                "use full, standalone or nokeep");
}

std::uint64_t delete_backup(const config::Server& server, wal::WalArchive* archive, const std::string& backup,
                            const hooks::Stop& stop) {
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo info = catalogue.get(backup);
    catalogue.check_removable(info);
    for (const catalogue::BackupInfo& increment : descendants(catalogue, info)) remove_backup(server, increment, stop);
    remove_backup(server, info, stop);
    log_message(LogLevel::notice, fmt::format("backup {} of server {} was deleted", info.backup_id, server.name),
                {{"SERVER", server.name}, {"BACKUP", info.backup_id}});
    if (archive == nullptr) return 0;
    const auto release = catalogue::wal_released_by(info, catalogue::remaining_backups(server));
    if (!release) return 0;
    const std::vector<std::string> names =
        archive->names_if([&](const std::string& name) { return release->releases(name); });
    const std::size_t removed = remove_with_hooks(*archive, names, stop);
    log_info("server {}: {} WAL files before {} were removed", server.name, removed, release->before);
    return removed;
}

RebuiltIndex rebuild_index(wal::WalArchive& archive) {
    constexpr std::size_t most_named = 1000;
    const wal::WalArchive::Rebuilt rebuilt = archive.rebuild_index();
    log_message(LogLevel::notice,
                fmt::format("server {}: the index of the WAL archive was made anew: {} files, {} left out",
                            archive.server().name, rebuilt.files, rebuilt.left_out.size()),
                {{"SERVER", archive.server().name}});
    RebuiltIndex result{rebuilt.files, rebuilt.left_out.size(), {}};
    for (const wal::LeftOut& each : rebuilt.left_out) {
        if (result.first_left_out.size() == most_named) break;
        result.first_left_out.emplace_back(each.path, each.why);
    }
    return result;
}

std::tuple<std::string, std::string, std::string> recheck_wal(wal::WalArchive* archive, const std::string& name) {
    require_archived_name(name);
    const wal::Recheck found = opened(archive).recheck(name);
    const char* const result = found.result == wal::Recheck::Result::set_aside ? "set-aside"
                               : found.result == wal::Recheck::Result::sound   ? "sound"
                               : found.result == wal::Recheck::Result::opaque  ? "opaque"
                                                                               : "absent";
    return {result, found.fault, found.moved_to.string()};
}

std::tuple<std::string, std::string> store_wal(const config::Server& server, wal::WalArchive* archive,
                                               const std::string& name) {
    require_archived_name(name);
    // The streamer still writes to what is no whole file there.
    const wal::FileKind kind = wal::kind_of(name);
    std::vector<Path> folders{server.incoming_wals_directory};
    if (kind == wal::FileKind::segment || kind == wal::FileKind::history)
        folders.push_back(server.streaming_wals_directory);
    // The queue may be at it at the same moment.
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
        for (const Path& folder : folders) {
            if (!std::filesystem::exists(folder / name)) continue;
            const wal::StoreOutcome outcome = opened(archive).store(folder / name);
            using Result = wal::StoreResult;
            if (outcome.result == Result::stored || outcome.result == Result::duplicate) return {"stored", ""};
            if (outcome.result == Result::conflict || outcome.result == Result::refused)
                return {"refused", outcome.reason};
            if (outcome.result == Result::failed && outcome.error->code() != ErrorCode::busy)
                return {"failed", outcome.error->what()};
        }
        if (opened(archive).has(name)) return {"stored", ""};
    }
    return {"absent", ""};
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
