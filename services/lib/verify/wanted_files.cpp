#include "lib/verify/wanted_files.h"

#include <unordered_set>

#include "lib/base/error.h"
#include "lib/verify/file_digest.h"

namespace coffer::verify {
namespace {

// Is it known what the backup should consist of?
bool read_manifest(const BackupFiles& files, const catalogue::BackupInfo& backup, FileList& list) {
    const Path manifest = files.manifest();
    if (!std::filesystem::exists(manifest)) {
        // PostgreSQL sends one with every base backup that it is asked for.
        if (backup.mode == "postgres") {
            list.findings.push_back({"backup_manifest", "is missing", {}});
        } else {
            list.notes.emplace_back("the backup has no manifest: only its pages are looked at");
        }
        return false;
    }
    try {
        const auto head = image::read_manifest(manifest, [&](const image::ManifestFile& file) {
            if (is_left_out(file.path)) return;
            (void)FileDigest(file.algorithm);
            list.files.push_back({file, true});
        });
        if (head.system_identifier && backup.systemid != 0 && *head.system_identifier != backup.systemid)
            list.findings.push_back({"backup_manifest", "is that of another cluster", {}});
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
        list.findings.push_back({"backup_manifest", error.fact(), {}});
        list.files.clear();
        return false;
    }
}

}  // namespace

FileList list_files(const BackupFiles& files, const catalogue::BackupInfo& backup,
                    const std::function<bool()>& canceled) {
    FileList list;
    const bool known = read_manifest(files, backup, list);
    std::unordered_set<std::string> names;
    for (const WantedFile& file : list.files) names.insert(file.expected.path);
    files.for_each([&](const std::string& path, std::uint64_t size) {
        if (canceled && canceled()) throw Error(ErrorCode::canceled, "the verification was canceled", backup.backup_id);
        if (names.count(path) != 0) return;
        if (known) {
            list.surplus.push_back(path);
        } else {
            list.files.push_back({{path, size, {}, {}, {}}, false});
        }
    });
    return list;
}

}  // namespace coffer::verify
