#include "lib/image/incremental_backup.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <vector>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/file_parts.h"
#include "lib/image/manifest_writer.h"

namespace coffer::image {
namespace {

constexpr std::size_t upload_step = 1 << 16;

}  // namespace

std::string without_increment_lines(const std::string& label) {
    std::string text;
    for (std::size_t begin = 0; begin < label.size();) {
        const std::size_t end = std::min(label.find('\n', begin), label.size() - 1) + 1;
        const std::string_view line = std::string_view(label).substr(begin, end - begin);
        if (!line.starts_with("INCREMENTAL FROM ")) text += line;
        begin = end;
    }
    return text;
}

ReceivedFiles files_of_manifest(const Path& manifest) {
    ReceivedFiles found;
    (void)read_manifest(manifest, [&](const ManifestFile& file) {
        const auto crc = crc32c_of(file);
        if (!crc) {
            throw Error(ErrorCode::not_supported, "the backup manifest has other checksums than CRC-32C",
                        manifest.string());
        }
        found[file.path] = {file.size, *crc};
    });
    return found;
}

void upload_manifest(pg::PgConn& conn, const Path& manifest) {
    const UniqueFd file = files().open(manifest, O_RDONLY);
    pg::PgResult begun = conn.exec("UPLOAD_MANIFEST");
    if (begun.status() != PGRES_COPY_IN) {
        throw Error(ErrorCode::protocol, "the server did not take the manifest of the earlier backup");
    }
    std::vector<std::byte> piece(upload_step);
    for (std::uint64_t at = 0;;) {
        const std::size_t got = read_up_to(file.get(), piece, at, manifest);
        if (got == 0) break;
        conn.put_copy_data(ByteSpan(piece).first(got));
        while (!conn.flush()) (void)conn.wait(POLLOUT, {});
        at += got;
    }
    conn.put_copy_end();
    while (!conn.flush()) (void)conn.wait(POLLOUT, {});
    while (const pg::PgResult result = conn.next_result()) {
        if (!result.ok()) throw result.error("the server refused the manifest of the earlier backup");
    }
}

std::string finish_increments(const TreeWriter& writer) {
    ManifestChanges changes = writer.patched();
    const Path label = writer.data_path() / "backup_label";
    if (const auto text = read_file(label, 1 << 20)) {
        const std::string whole = without_increment_lines(*text);
        const auto mode = static_cast<mode_t>(std::filesystem::status(label).permissions());
        const Path replacement = replacement_of(label);  // never written in place: it may be a hard link
        files().unlink(replacement);
        const UniqueFd fd = files().open(replacement, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        files().append(fd.get(), as_byte_span(whole), replacement);
        files().rename(replacement, label);
        changes["backup_label"] = {"backup_label", whole.size(), crc32c(as_byte_span(whole))};
    }
    return change_manifest(writer.data_path() / "backup_manifest", changes);
}

}  // namespace coffer::image
