#include "lib/wal/archive_scan.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/wal/segment_check.h"
#include "lib/wal/segment_name.h"

namespace coffer::wal {
namespace {

using std::filesystem::directory_entry;
using std::filesystem::directory_iterator;

constexpr std::size_t at_once = 512;  // files for one thread

bool is_folder_name(const std::string& name) {
    return name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

// Encrypted by gpg (RFC 4880: packet tags 1 and 3, in the old and the new form).
bool is_openpgp(ByteSpan bytes) {
    constexpr std::array<unsigned, 6> tags{0x84, 0x85, 0x86, 0x8C, 0xC1, 0xC3};
    return !bytes.empty() && std::find(tags.begin(), tags.end(), std::to_integer<unsigned>(bytes[0])) != tags.end();
}

// Why a file that is neither compressed nor encrypted is not what its name says, as far as its first bytes tell.
std::string fault_of(const XlogLine& line, ByteSpan beginning) {
    const FileKind kind = kind_of(line.name);
    if (kind != FileKind::segment && kind != FileKind::partial) return {};
    const auto identity = identify_segment(beginning);
    if (!identity) return "does not begin as a WAL segment does";
    if (line.size != identity->size.bytes()) {
        return fmt::format("has {} bytes instead of {}", line.size, identity->size.bytes());
    }
    if (!Segment::parse(line.name.substr(0, 24), identity->size)) {
        return fmt::format("has a name that does not exist with segments of {} bytes", identity->size.bytes());
    }
    return {};
}

// Names of what should not be there go to the list at once; temporary files are somebody's who is at work.
void list_folder(const Path& folder, const std::string& prefix, std::vector<Path>& found, ArchiveScan& scan) {
    for (const directory_entry& entry : directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        const FileKind kind = kind_of(name);
        if (kind == FileKind::temporary || name.starts_with('.')) continue;
        if (prefix.empty() && (name == "xlog.db" || name.ends_with("-xlog.db"))) continue;
        if (prefix.empty() && is_folder_name(name) && entry.is_directory()) {
            list_folder(entry.path(), name + "/", found, scan);
            continue;
        }
        if (kind == FileKind::unknown) {
            scan.left_out.push_back({prefix + name, "has a name that no WAL file has"});
        } else if (archive_folder_of(name) + "/" != (prefix.empty() ? "/" : prefix)) {
            scan.left_out.push_back({prefix + name, "is not in the folder where it belongs"});
        } else {
            found.push_back(entry.path());
        }
    }
}

const XlogLine* line_named(const std::vector<XlogLine>& lines, const std::string& name) {
    const auto found =
        std::lower_bound(lines.begin(), lines.end(), name,
                         [](const XlogLine& line, const std::string& sought) { return line.name < sought; });
    return found == lines.end() || found->name != name ? nullptr : &*found;
}

}  // namespace

std::vector<XlogLine> believed_lines(const XlogContent& content) {
    constexpr std::array<std::string_view, 6> found_out{"", "gzip", "bzip2", "xz", "zstd", "lz4"};
    std::vector<XlogLine> lines;
    std::copy_if(content.lines.begin(), content.lines.end(), std::back_inserter(lines), [&](const XlogLine& line) {
        return !line.encryption.empty() ||
               std::find(found_out.begin(), found_out.end(), line.compression) == found_out.end();
    });
    std::sort(lines.begin(), lines.end(), [](const XlogLine& a, const XlogLine& b) { return a.name < b.name; });
    return lines;
}

bool scan_archived(const Path& file, const XlogLine* old, ArchiveScan& scan) {
    std::vector<std::byte> beginning;
    const std::string folder = archive_folder_of(file.filename().string());
    const std::string path = (folder.empty() ? folder : folder + "/") + file.filename().string();
    std::optional<XlogLine> line;
    try {
        line = describe_archived(file, &beginning);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::permission_denied) throw;
        scan.left_out.push_back({path, error.what()});
        return false;
    }
    if (!line) {
        if (std::filesystem::exists(std::filesystem::symlink_status(file)))
            scan.left_out.push_back({path, "is no file"});
        return false;
    }
    std::string fault = line->size == 0 ? "is empty" : "";
    if (fault.empty() && line->compression.empty()) {
        fault = fault_of(*line, beginning);
        if (!fault.empty() && old != nullptr) {
            line->compression = old->compression;
            line->encryption = old->encryption;
            fault.clear();
        } else if (!fault.empty() && is_openpgp(beginning)) {
            line->encryption = "gpg";
            fault.clear();
        }
    }
    if (!fault.empty()) {
        scan.left_out.push_back({path, std::move(fault)});
        return false;
    }
    scan.lines.push_back(std::move(*line));
    return true;
}

ArchiveScan scan_archive(const config::Server& server, const XlogContent& old) {
    ArchiveScan scan;
    std::vector<Path> found;
    try {
        list_folder(server.wals_directory, "", found, scan);
    } catch (const std::filesystem::filesystem_error& error) {
        throw Error::from_errno(error.code().value(), "cannot read directory", error.path1().string());
    }
    const std::vector<XlogLine> believed = believed_lines(old);
    std::vector<ArchiveScan> parts((found.size() + at_once - 1) / at_once);
    run_parallel(parts.size(), default_jobs(), [&](std::size_t part) {
        const std::size_t end = std::min(found.size(), (part + 1) * at_once);
        for (std::size_t i = part * at_once; i < end; ++i)
            (void)scan_archived(found[i], line_named(believed, found[i].filename().string()), parts[part]);
    });
    for (ArchiveScan& part : parts) {
        std::move(part.lines.begin(), part.lines.end(), std::back_inserter(scan.lines));
        std::move(part.left_out.begin(), part.left_out.end(), std::back_inserter(scan.left_out));
    }
    std::sort(scan.lines.begin(), scan.lines.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    std::sort(scan.left_out.begin(), scan.left_out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return scan;
}

}  // namespace coffer::wal
