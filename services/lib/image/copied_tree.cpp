#include "lib/image/copied_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <mutex>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/base/subvolume.h"
#include "lib/image/clone.h"
#include "lib/image/file_parts.h"
#include "lib/image/image_file.h"
#include "lib/image/manifest.h"
#include "lib/image/manifest_writer.h"

namespace coffer::image {
namespace {

constexpr std::size_t read_size = 1 << 20;
constexpr std::string_view spaces = "pg_tblspc/";

std::string manifest_time(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[40];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S GMT", &parts)};
}

}  // namespace

Path CopiedTree::place_of(const std::string& path) const {
    return path.starts_with(spaces) ? backup_path_ / path.substr(spaces.size()) : data_path() / path;
}

void CopiedTree::add_directory(const std::string& path, mode_t mode) {
    directories_.emplace(path, mode);
}

void CopiedTree::add_tablespace(std::uint32_t oid) {
    tablespaces_.push_back(oid);
}

void CopiedTree::add_file(const std::string& path, std::int64_t mtime) {
    files_[path].mtime = mtime;
}

void CopiedTree::changed(const std::string& path) {
    CopiedFile& file = files_.at(path);
    file.trusted = file.described = false;
}

void CopiedTree::make_ready() {
    const auto make_root = [](const Path& root) {
        if (!std::filesystem::exists(std::filesystem::symlink_status(root))) make_image_directory(root);
    };
    make_root(data_path());
    for (const std::uint32_t oid : tablespaces_) make_root(backup_path_ / std::to_string(oid));
    remove_surplus();
    for (const auto& [path, mode] : directories_) make_directory_of_image(place_of(path), directory_mode(mode));
    // As in Barman's catalogue, a link leads to the tablespace's tree beside the data directory, not to where it was.
    for (const std::uint32_t oid : tablespaces_) {
        const Path link = data_path() / "pg_tblspc" / std::to_string(oid);
        if (std::filesystem::is_symlink(std::filesystem::symlink_status(link))) coffer::files().unlink(link);
        if (::symlink((backup_path_ / std::to_string(oid)).c_str(), link.c_str()) != 0)
            throw Error::from_errno(errno, "cannot create symbolic link", link.string());
    }
}

void CopiedTree::remove_surplus() {
    for (const Path& tree : trees_of(backup_path_)) {
        const std::string name = tree.filename().string();
        const bool wanted = name == "data" || std::any_of(tablespaces_.begin(), tablespaces_.end(),
                                                          [&](auto oid) { return std::to_string(oid) == name; });
        if (wanted) {
            remove_surplus_below(tree, name == "data" ? "" : fmt::format("{}{}/", spaces, name));
        } else {
            remove_directory_tree(tree);
        }
    }
}

void CopiedTree::remove_surplus_below(const Path& root, const std::string& prefix) {
    std::vector<Path> surplus;
    for (auto entry = std::filesystem::recursive_directory_iterator(root);
         entry != std::filesystem::recursive_directory_iterator(); ++entry) {
        const std::string path = prefix + entry->path().lexically_relative(root).string();
        if (entry->is_symlink()) {
            if (prefix.empty() && path.starts_with(spaces)) continue;
        } else if (entry->is_directory()) {
            if (directories_.contains(path)) continue;
            entry.disable_recursion_pending();
        } else if (path == "backup_manifest" || files_.contains(path)) {
            continue;
        }
        surplus.push_back(entry->path());
    }
    for (const Path& path : surplus) {
        if (std::filesystem::is_directory(std::filesystem::symlink_status(path))) {
            remove_directory_tree(path);
        } else {
            coffer::files().unlink(path);
        }
    }
}

void CopiedTree::describe_trusted() {
    const Path manifest = data_path() / "backup_manifest";
    if (!std::filesystem::exists(manifest)) return;
    try {
        read_manifest(manifest, [this](const ManifestFile& known) {
            const auto file = files_.find(known.path);
            const auto crc = crc32c_of(known);
            if (file == files_.end() || !file->second.trusted || !crc) return;
            file->second.size = known.size;
            file->second.crc32c = *crc;
            file->second.described = true;
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        log_warning("every file is read again: {}", error.what());
        for (auto& [path, file] : files_) file.described = false;
    }
}

void CopiedTree::describe(std::optional<Lsn> begin_lsn, unsigned jobs, const std::function<void(std::uint64_t)>& read) {
    std::vector<std::string> paths;
    for (const auto& [path, file] : files_) {
        if (!file.described) paths.push_back(path);
    }
    std::sort(paths.begin(), paths.end());
    std::mutex mutex;
    std::uint64_t pages = 0;
    run_parallel(paths.size(), jobs, [&](std::size_t i) {
        const std::string& path = paths[i];
        CopiedFile& file = files_.at(path);
        const auto first_block = begin_lsn ? first_block_of(path) : std::nullopt;
        PageChecker checker(first_block.value_or(0), begin_lsn.value_or(Lsn{}));
        const UniqueFd fd = coffer::files().open(place_of(path), O_RDONLY | O_NOFOLLOW);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
        std::vector<std::byte> buffer(read_size);
        file.size = 0;
        file.crc32c = 0;
        for (;;) {
            const std::size_t got = read_up_to(fd.get(), buffer, file.size, place_of(path));
            const ByteSpan piece = ByteSpan(buffer).first(got);
            file.crc32c = crc32c(piece, file.crc32c);
            file.size += got;
            if (first_block) checker.add(piece);
            read(got);
            if (got < buffer.size()) break;
        }
        file.described = true;
        const std::lock_guard lock(mutex);
        pages += checker.checked();
        wrong_pages_.erase(path);
        if (!checker.suspects().empty() || !checker.newer().empty())
            wrong_pages_[path] = {checker.suspects(), checker.newer()};
    });
    pages_checked_ += pages;
}

std::string CopiedTree::write_manifest(std::optional<std::uint64_t> system_identifier, TimelineId timeline, Lsn begin,
                                       Lsn end) {
    std::vector<std::string> paths;
    for (const auto& [path, file] : files_) paths.push_back(path);
    std::sort(paths.begin(), paths.end());
    ManifestWriter writer(data_path() / "backup_manifest", system_identifier);
    for (const std::string& path : paths) {
        const CopiedFile& file = files_.at(path);
        writer.add({path, file.size, manifest_time(file.mtime), "CRC32C", manifest_crc32c(file.crc32c)});
    }
    return writer.finish({{timeline, begin, end}});
}

void CopiedTree::write(const std::string& path, std::string_view content, std::int64_t mtime) {
    ImageFile out(place_of(path), file_mode(0));
    out.append(as_byte_span(content));
    out.finish();
    files_[path] = CopiedFile{content.size(), mtime, true, false, crc32c(as_byte_span(content), 0)};
}

std::uint64_t CopiedTree::bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [path, file] : files_) bytes += file.size;
    return bytes;
}

}  // namespace coffer::image
