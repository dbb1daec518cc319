#include "lib/image/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/base/subvolume.h"
#include "lib/image/clone.h"
#include "lib/image/file_parts.h"
#include "lib/image/image_file.h"
#include "lib/image/increment.h"
#include "lib/image/patched_file.h"

namespace coffer::image {
namespace {

constexpr std::size_t most_suspects = 1000;
// Torn pages are rare: so many at once are no accident of timing, and memory is finite.
constexpr std::size_t most_newer = 100'000;

[[noreturn]] void refuse(const char* what, const std::string& path) {
    throw Error(ErrorCode::corrupt, what, path, "the server sent something that no data directory holds");
}

}  // namespace

bool is_safe_path(std::string_view path) noexcept {
    if (path.empty() || path.size() > 1024 || path.find('\0') != path.npos) return false;
    for (;;) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") return false;
        if (slash == path.npos) return true;
        path.remove_prefix(slash + 1);
    }
}

TreeWriter::TreeWriter(Path backup_path, std::optional<Lsn> begin_lsn)
    : backup_path_(std::move(backup_path)), begin_lsn_(begin_lsn) {}

void TreeWriter::begin_archive(std::optional<std::uint32_t> tablespace) {
    root_ = tablespace ? backup_path_ / std::to_string(*tablespace) : data_path();
    prefix_ = tablespace ? fmt::format("pg_tblspc/{}/", *tablespace) : std::string();
    if (tablespace) tablespaces_.insert(*tablespace);
    if (!std::filesystem::exists(std::filesystem::symlink_status(root_))) make_image_directory(root_);
}

void TreeWriter::write(TarReader& reader) {
    while (const auto member = reader.next()) {
        if (!is_safe_path(member->path)) refuse("the base backup holds a file with an unsafe name", member->path);
        switch (member->type) {
            case Member::Type::file:
                write_file(reader, *member);
                break;
            case Member::Type::directory:
                make_directory(*member);
                break;
            case Member::Type::symlink:
                make_link(*member);
                break;
            case Member::Type::other:
                refuse("the base backup holds something that is neither file nor directory", member->path);
        }
    }
}

void TreeWriter::make_directory(const Member& member) {
    directories_.insert(prefix_ + member.path);
    make_directory_of_image(root_ / member.path, directory_mode(member.mode));
}

// As in Barman's catalogue, the link leads to the tablespace's tree beside the data directory, not to where it was.
void TreeWriter::make_link(const Member& member) {
    const std::string_view name = std::string_view(member.path).substr(std::min<std::size_t>(member.path.size(), 10));
    const bool tablespace = prefix_.empty() && member.path.starts_with("pg_tblspc/") && !name.empty() &&
                            name.size() <= 10 &&
                            std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!tablespace) refuse("the base backup holds a symbolic link", member.path);
    const Path link = root_ / member.path;
    links_.insert(prefix_ + member.path);
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(link))) files().unlink(link);  // a clone's
    if (::symlink((backup_path_ / name).c_str(), link.c_str()) != 0) {
        throw Error::from_errno(errno, "cannot create symbolic link", link.string());
    }
}

void TreeWriter::write_file(TarReader& reader, const Member& member) {
    const Path path = root_ / member.path;
    const std::string name = prefix_ + member.path;
    const auto [entry, fresh] = received_.try_emplace(name);
    if (!fresh) refuse("the base backup holds a file twice", name);
    if (base_ && path.filename().string().starts_with(increment_prefix)) {
        return apply_increment(reader, member, entry->second);
    }
    if (patched_names_.contains(name)) refuse("the base backup holds a file twice", name);
    ImageFile out(path, file_mode(member.mode));
    const auto first_block = begin_lsn_ ? first_block_of(name) : std::nullopt;
    PageChecker checker(first_block.value_or(0), begin_lsn_.value_or(Lsn{}));
    ReceivedFile& file = entry->second;
    for (ByteSpan data = reader.data(); !data.empty(); data = reader.data()) {
        out.append(data);
        file.crc32c = crc32c(data, file.crc32c);
        file.size += data.size();
        if (first_block) checker.add(data);
    }
    out.finish();
    statistics_.bytes += file.size;
    statistics_.bytes_written += out.written();
    if (first_block) keep_wrong_pages(name, checker);
}

void TreeWriter::apply_increment(TarReader& reader, const Member& member, ReceivedFile& received) {
    const Path increment(member.path);
    const std::string path =
        (increment.parent_path() / increment.filename().string().substr(increment_prefix.size())).string();
    const std::string name = prefix_ + path;
    const auto before = base_->find(name);
    if (before == base_->end()) refuse("the base backup holds changes to a file that the earlier one has not", name);
    if (received_.contains(name) || !patched_names_.insert(name).second)
        refuse("the base backup holds a file twice", name);
    const auto first_block = begin_lsn_ ? first_block_of(name) : std::nullopt;
    PageChecker checker(first_block.value_or(0), begin_lsn_.value_or(Lsn{}));
    PatchedFile out(root_ / path, file_mode(member.mode),
                    {before->second.size, before->second.crc32c, first_block.has_value(), first_block.value_or(0)});
    IncrementParser parser(
        member.size, [&](const IncrementHeader& header) { out.begin(header); },
        [&](std::uint32_t block, Page page) {
            if (first_block) checker.add_page(block, page);
            out.put(block, page);
        });
    for (ByteSpan data = reader.data(); !data.empty(); data = reader.data()) {
        parser.append(data);
        received.crc32c = crc32c(data, received.crc32c);
        received.size += data.size();
    }
    parser.finish();
    out.finish();
    statistics_.bytes += out.size();
    statistics_.bytes_written += out.written();
    patched_.emplace(prefix_ + member.path, ManifestChange{name, out.size(), out.crc32c()});
    if (first_block) keep_wrong_pages(name, checker);
}

void TreeWriter::remove_surplus() {
    remove_surplus_below(data_path(), "");
    for (const auto& entry : std::filesystem::directory_iterator(backup_path_)) {
        const std::string name = entry.path().filename().string();
        if (!entry.is_directory() || entry.is_symlink() || name == "data") continue;
        std::uint32_t oid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), oid);
        const bool is_tablespace =
            error == std::errc() && end == name.data() + name.size() && tablespaces_.contains(oid);
        if (is_tablespace) {
            remove_surplus_below(entry.path(), fmt::format("pg_tblspc/{}/", oid));
        } else {
            remove_directory_tree(entry.path());
        }
    }
}

void TreeWriter::remove_surplus_below(const Path& root, const std::string& prefix) {
    std::vector<Path> surplus;
    for (auto entry = std::filesystem::recursive_directory_iterator(root);
         entry != std::filesystem::recursive_directory_iterator(); ++entry) {
        const std::string relative = entry->path().lexically_relative(root).string();
        const std::string name = prefix + relative;
        if (entry->is_symlink() && links_.contains(name)) continue;
        if (!entry->is_symlink() && entry->is_directory() ? directories_.contains(name)
                                                          : received_.contains(name) || patched_names_.contains(name))
            continue;
        if (name == "backup_manifest") continue;
        if (!entry->is_symlink() && entry->is_directory()) entry.disable_recursion_pending();
        surplus.push_back(entry->path());
    }
    for (const Path& path : surplus) {
        if (std::filesystem::is_directory(std::filesystem::symlink_status(path))) {
            remove_directory_tree(path);
        } else {
            files().unlink(path);
        }
    }
}

void TreeWriter::keep_wrong_pages(const std::string& path, const PageChecker& checker) {
    statistics_.pages_checked += checker.checked();
    // As PostgreSQL names it: the block within this file.
    for (const SuspectPage& page : checker.suspects()) keep_suspect({path, page.block % blocks_per_segment, page.lsn});
    for (const SuspectPage& page : checker.newer()) {
        catalogue::BadPage wrong{path, page.block % blocks_per_segment, page.lsn};
        if (newer_.size() < most_newer) {
            newer_.push_back(std::move(wrong));
        } else {
            keep_suspect(std::move(wrong));
        }
    }
}

void TreeWriter::keep_suspect(catalogue::BadPage page) {
    ++statistics_.suspects_total;
    if (suspects_.size() < most_suspects) suspects_.push_back(std::move(page));
}

void TreeWriter::judge_newer_pages(Lsn end_lsn) {
    for (catalogue::BadPage& page : std::exchange(newer_, {})) {
        if (page.page_lsn <= end_lsn) {
            ++statistics_.pages_torn_allowed;
        } else {
            keep_suspect(std::move(page));
        }
    }
}

}  // namespace coffer::image
