// The start of a WalArchive: what a crash left is removed, and xlog.db is set right by what lies on disk.
#include <algorithm>
#include <map>

#include "lib/base/log.h"
#include "lib/wal/archive_ready.h"

namespace coffer::wal {
namespace {

using std::filesystem::directory_entry;
using std::filesystem::directory_iterator;

bool is_folder_name(const std::string& name) {
    return name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

// The files of one folder; temporary ones of ours are removed.
void scan_folder(const Path& folder, std::vector<Path>& found) {
    for (const directory_entry& entry : directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with('.') && name.ends_with(".tmp")) {
            log_info("removing {}, left by an interrupted run", entry.path().string());
            files().unlink(entry.path());
            continue;
        }
        const FileKind kind = kind_of(name);
        const bool in_its_place = archive_folder_of(name) == (kind == FileKind::history ? "" : folder.filename());
        if (kind != FileKind::unknown && kind != FileKind::temporary && in_its_place) found.push_back(entry.path());
    }
}

std::vector<Path> scan(const Path& wals) {
    std::vector<Path> found;
    try {
        for (const directory_entry& entry : directory_iterator(wals)) {
            if (is_folder_name(entry.path().filename()) && entry.is_directory()) scan_folder(entry.path(), found);
        }
        std::vector<Path> top;
        scan_folder(wals, top);
        for (Path& path : top) {
            if (kind_of(path.filename().string()) == FileKind::history) found.push_back(std::move(path));
        }
    } catch (const std::filesystem::filesystem_error& error) {
        throw Error::from_errno(error.code().value(), "cannot read directory", error.path1().string());
    }
    std::sort(found.begin(), found.end(), [](const Path& a, const Path& b) { return a.filename() < b.filename(); });
    return found;
}

}  // namespace

void WalArchive::load_index() {
    const Path path = xlogdb_path(server_);
    XlogContent content = read_xlogdb(path);
    std::map<std::string_view, const XlogLine*> known;
    for (const XlogLine& line : content.lines) known[line.name] = &line;

    std::size_t confirmed = 0;
    std::vector<XlogLine> right;
    ArchiveScan unknown;
    for (const Path& file : scan(server_.wals_directory)) {
        const std::string name = file.filename().string();
        if (const auto line = known.find(name); line != known.end()) {
            right.push_back(*line->second);
            ++confirmed;
        } else if (scan_archived(file, nullptr, unknown)) {
            right.push_back(std::move(unknown.lines.back()));
        }
    }
    for (const LeftOut& each : unknown.left_out)
        log_warning("server {}: {} in the WAL archive {}, and is not indexed", server_.name, each.path, each.why);
    for (const XlogLine& line : right) index_.add(line.name, line.size);
    const bool in_order = std::is_sorted(content.lines.begin(), content.lines.end(),
                                         [](const XlogLine& a, const XlogLine& b) { return a.name < b.name; });
    if (confirmed == right.size() && confirmed == content.lines.size() && content.unreadable == 0 && in_order) return;
    log_info("server {}: index of the WAL archive set right: {} lines, {} files", server_.name,
             content.lines.size() + content.unreadable, right.size());
    write_xlogdb(path, right);
}

// Until the catalogue knows the server, the newest archived segment says which system the archive belongs to.
void WalArchive::learn_system() {
    const std::optional<std::string> newest = index_.last_segment();
    if (!newest) return;
    struct Enough {};
    std::string head;
    try {
        decompress_file(path_of(*newest), [&head](ByteSpan piece) {
            head.append(reinterpret_cast<const char*>(piece.data()), std::min<std::size_t>(piece.size(), 8192));
            if (head.size() >= 8192) throw Enough();
        });
    } catch (const Enough&) {
    } catch (const Error& error) {
        log_warning("newest archived WAL cannot be read: {}", error.what());
        return;
    }
    if (const auto identity = identify_segment(as_byte_span(head))) learned_system_ = identity->system_identifier;
}

}  // namespace coffer::wal
