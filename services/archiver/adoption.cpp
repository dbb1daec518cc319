#include "services/archiver/adoption.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/catalogue/completion.h"
#include "lib/catalogue/wal_proof.h"

namespace coffer::archiver {
namespace {

std::vector<Path> files_in(const Path& folder) {
    std::vector<Path> found;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        found.push_back(entry->path());
    if (error && error != std::errc::no_such_file_or_directory)
        throw Error::from_errno(error.value(), "cannot read directory", folder.string());
    std::sort(found.begin(), found.end());
    return found;
}

// Would the archive take it?
void require_acceptable(const wal::WalArchive& archive, const Path& file, const wal::KnownSystem& known) {
    const std::string name = file.filename().string();
    const std::string plain = read_file(file, wal::largest_wal_file).value_or("");
    if (const auto reason = wal::refusal_of(name, as_byte_span(plain), known))
        throw Error(ErrorCode::corrupt, name + " of the import " + *reason, archive.server().name);
    const Path archived = archive.path_of(name);
    if (!std::filesystem::exists(archived)) return;
    if (wal::decompress_file(archived, wal::largest_wal_file) == plain) return;
    throw Error(ErrorCode::refused, "the archive has other WAL of this name: it is of another history",
                archived.string(), "import the backup under another server, whose archive is empty");
}

void store(wal::WalArchive& archive, const Path& file) {
    const wal::StoreOutcome outcome = archive.store(file);
    if (outcome.result == wal::StoreResult::stored || outcome.result == wal::StoreResult::duplicate) return;
    if (outcome.error) throw *outcome.error;
    throw Error(ErrorCode::refused, file.filename().string() + " " + outcome.reason, archive.server().name);
}

}  // namespace

void adopt_backup(const config::Server& server, wal::WalArchive& archive, const std::string& backup) {
    const auto lock =
        catalogue::LockFile::try_lock(catalogue::backup_lock_path(server, backup), catalogue::LockFile::Mode::shared);
    if (!lock) throw Error(ErrorCode::busy, "the backup is being removed", backup);
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo info = catalogue.hidden(backup);
    if (info.unreadable) throw Error(ErrorCode::corrupt, info.error, backup);
    const wal::KnownSystem known{info.systemid, info.version / 10000, info.xlog_segment_size};
    if (const auto identity = catalogue.identity(); identity && identity->systemid != info.systemid)
        catalogue.confirm_identity({info.systemid, known.major_version});  // which says so
    if (const auto mine = archive.known_system().system_identifier; mine && *mine != info.systemid) {
        throw Error(ErrorCode::server_mismatch, "the archive holds WAL of another system", server.name,
                    "import the backup under another server");
    }
    const Path folder = catalogue.backup_path(backup) / "wal";
    const std::vector<Path> wal = files_in(folder);
    for (const Path& file : wal) require_acceptable(archive, file, known);
    catalogue.confirm_identity({info.systemid, known.major_version});
    for (const Path& file : wal) store(archive, file);
    if (const auto missing = catalogue::first_missing_wal(server, info))
        throw Error(ErrorCode::no_such_wal, "WAL that the backup needs is not among what was imported", *missing);
    catalogue::prove_wal(server, info);
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT)
        throw Error::from_errno(errno, "cannot remove directory", folder.string());
    catalogue.publish(backup);
    log_message(LogLevel::notice, fmt::format("backup {} was imported for server {}", backup, server.name),
                {{"SERVER", server.name}, {"BACKUP", backup}});
}

}  // namespace coffer::archiver
