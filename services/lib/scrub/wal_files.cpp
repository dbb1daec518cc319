#include "lib/scrub/wal_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "lib/base/error.h"
#include "lib/wal/segment_name.h"
#include "lib/wal/xlogdb.h"
#include "lib/wal/xlogdb_tally.h"

namespace coffer::scrub {
namespace {

bool is_folder(const std::string& name) {
    return name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

// Of what may go at any moment; absence is an empty directory.
std::vector<std::string> names_in(const Path& directory) {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    if (error == std::errc::no_such_file_or_directory) return names;
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        names.push_back(entry->path().filename().string());
    if (error) throw Error::from_errno(error.value(), "cannot read directory", directory.string());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

std::vector<std::string> wal_folders(const config::Server& server) {
    std::vector<std::string> folders{""};
    for (std::string& name : names_in(server.wals_directory)) {
        if (is_folder(name)) folders.push_back(std::move(name));
    }
    return folders;
}

std::vector<WalFile> wal_files(const config::Server& server, const std::string& folder) {
    std::vector<WalFile> files;
    const Path directory = folder.empty() ? server.wals_directory : server.wals_directory / folder;
    for (std::string& name : names_in(directory)) {
        const wal::FileKind kind = wal::kind_of(name);
        if (kind == wal::FileKind::unknown || kind == wal::FileKind::temporary) continue;
        if (wal::archive_folder_of(name) != folder) continue;
        struct stat status {};
        if (::lstat((directory / name).c_str(), &status) != 0) {
            if (errno == ENOENT) continue;
            throw Error::from_errno(errno, "cannot look at file", (directory / name).string());
        }
        const auto changed =
            std::chrono::seconds(status.st_ctim.tv_sec) +
            std::chrono::floor<std::chrono::microseconds>(std::chrono::nanoseconds(status.st_ctim.tv_nsec));
        files.push_back({std::move(name), static_cast<std::uint64_t>(status.st_size), WallTime(changed)});
    }
    return files;
}

std::optional<Item> wal_item(const std::string& folder, const std::vector<WalFile>& files, const FolderProof& proof) {
    if (files.empty()) return std::nullopt;
    Item item{Item::Kind::folder, folder, WallTime::max(), 0};
    for (const WalFile& file : files) {
        item.since = std::min(item.since, proof_of(proof, file.name, file.changed).value_or(file.changed));
        item.bytes += file.stored_size;
    }
    return item;
}

IndexedSizes::IndexedSizes(const config::Server& server) {
    wal::scan_xlogdb(wal::xlogdb_path(server), [this](const wal::XlogEntry& entry) {
        if (wal::kind_of(entry.name) != wal::FileKind::segment) return;
        Line line{{}, entry.size};
        std::copy(entry.name.begin(), entry.name.end(), line.name.begin());
        lines_.push_back(line);
    });
    std::stable_sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) { return a.name < b.name; });
}

std::optional<std::uint64_t> IndexedSizes::size_of(const std::string& name) const {
    const auto before = [](const Line& line, std::string_view sought) {
        return std::string_view(line.name.data(), line.name.size()) < sought;
    };
    const auto found = std::lower_bound(lines_.begin(), lines_.end(), std::string_view(name), before);
    if (found == lines_.end() || std::string_view(found->name.data(), found->name.size()) != name) return std::nullopt;
    return found->size;
}

}  // namespace coffer::scrub
