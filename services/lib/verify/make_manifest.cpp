#include "lib/verify/make_manifest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/image/file_parts.h"
#include "lib/image/manifest_writer.h"
#include "lib/verify/backup_files.h"
#include "lib/verify/file_digest.h"

namespace coffer::verify {
namespace {

constexpr std::size_t piece = 1 << 20;
constexpr std::uint32_t first_with_identifier = 17;

std::string time_text(std::time_t time) {
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[40];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S GMT", &parts)};
}

void describe(const Path& path, image::ManifestFile& file, const std::function<bool()>& canceled) {
    const UniqueFd fd = files().open(path, O_RDONLY | O_NOFOLLOW);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw Error::from_errno(errno, "cannot look at file", path.string());
    file.modified = time_text(status.st_mtim.tv_sec);
    file.algorithm = "SHA256";
    file.size = 0;
    FileDigest digest(file.algorithm);
    std::vector<std::byte> buffer(piece);
    for (;;) {
        if (canceled && canceled()) throw Error(ErrorCode::canceled, "the manifest was canceled");
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path.string());
        if (got == 0) break;
        digest.add(ByteSpan(buffer.data(), static_cast<std::size_t>(got)));
        file.size += static_cast<std::uint64_t>(got);
    }
    file.checksum = digest.text();
}

}  // namespace

std::uint64_t make_manifest(const config::Server& server, const catalogue::BackupInfo& backup, unsigned jobs,
                            const std::function<bool()>& canceled) {
    const BackupFiles backup_files(server, backup);
    const Path manifest = backup_files.manifest();
    if (std::filesystem::exists(manifest)) {
        throw Error(ErrorCode::refused, "the backup has a manifest already", manifest.string(),
                    "cofferctl verify-backup holds the backup against it");
    }
    // What a crash left of an earlier attempt is no file of the backup.
    const Path temporary = manifest.parent_path() / ".coffer.new_manifest";
    for (const Path& left : {temporary, image::replacement_of(temporary)}) files().unlink(left);
    std::vector<image::ManifestFile> found;
    backup_files.for_each([&](const std::string& path, std::uint64_t) { found.push_back({path, 0, {}, {}, {}}); });
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    run_parallel(found.size(), jobs,
                 [&](std::size_t i) { describe(backup_files.place_of(found[i].path), found[i], canceled); });

    const bool named = backup.version / 10000 >= first_with_identifier && backup.systemid != 0;
    image::ManifestWriter writer(temporary, named ? std::optional(backup.systemid) : std::nullopt);
    for (const image::ManifestFile& file : found) writer.add(file);
    (void)writer.finish({{backup.timeline, backup.begin_xlog, backup.end_xlog}});
    files().sync(files().open(temporary, O_RDONLY).get(), temporary);
    files().rename(temporary, manifest);
    files().sync_directory(manifest.parent_path());
    return found.size();
}

}  // namespace coffer::verify
