#include "lib/transfer/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/image/clone.h"
#include "lib/image/sha256.h"
#include "lib/image/tree_writer.h"

namespace coffer::transfer {
namespace {

constexpr std::uint64_t largest_text = 16 << 20;
constexpr std::uint64_t largest_history = 1 << 20;
constexpr std::int64_t second = 1'000'000'000;

std::string_view text_of(ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string sha256_of(std::string_view text) {
    image::Sha256 hash;
    hash.add(text);
    return hash.hex();
}

bool is_number(std::string_view name) {
    return !name.empty() && name.size() <= 10 && name.find_first_not_of("0123456789") == name.npos;
}

std::string_view first_part(std::string_view path) {
    return path.substr(0, path.find('/'));
}

[[noreturn]] void refuse_foreign(const std::string& where) {
    throw Error(ErrorCode::not_supported, "this file is no export of Coffer's", where,
                "cofferctl export-backup makes them; an export of Barman's is imported by Barman");
}

image::TarReader open_tar(image::TarReader::Pull pull, const std::string& where) {
    try {
        return image::TarReader(std::move(pull), image::TarReader::Form::any_compression);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        refuse_foreign(where);
    }
}

void set_time(const Path& path, std::int64_t modified_ns) {
    const timespec time{modified_ns / second, modified_ns % second};
    const timespec times[2] = {time, time};
    if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        throw Error::from_errno(errno, "cannot set time of file", path.string());
}

}  // namespace

Unpacker::Unpacker(image::TarReader::Pull pull, std::string where)
    : where_(std::move(where)), reader_(open_tar(std::move(pull), where_)) {
    std::optional<Entry> entry = next();
    if (!entry || entry->path != header_member || entry->type != Entry::Type::file) refuse_foreign(where_);
    header_ = Header::parse(read_text(*entry, largest_text), where_);
    entry = next();
    if (!entry || entry->path != record_member) refuse("has no record of a backup");
    backup_ = catalogue::BackupInfo::parse(read_text(*entry, largest_text), header_.backup_id, where_);
    if (backup_.systemid != header_.systemid || backup_.status != catalogue::BackupStatus::done ||
        !backup_.parent().empty() || backup_.required_segments().empty()) {
        refuse("holds a record that is not that of a whole backup");
    }
    if (backup_.required_segments().size() * backup_.xlog_segment_size.bytes() > header_.bytes)
        refuse("holds a record that needs more WAL than it can hold");
    for (const wal::Segment& segment : backup_.required_segments())
        wal_names_.insert(segment.name(backup_.xlog_segment_size));
    pending_ = next();
    if (!pending_ || pending_->path != extra_member) return;
    extra_ = catalogue::parse_extra(read_text(*pending_, largest_text), where_);
    pending_ = next();
}

std::optional<Entry> Unpacker::next() {
    const auto member = reader_.next();
    if (!member) return std::nullopt;
    Entry entry;
    entry.path = member->path;
    entry.mode = member->mode;
    entry.uid = member->uid;
    entry.gid = member->gid;
    entry.modified_ns = member->modified_ns;
    entry.size = member->size;
    entry.link_target = member->link_target;
    switch (member->type) {
        case image::Member::Type::file:
            entry.type = Entry::Type::file;
            break;
        case image::Member::Type::directory:
            entry.type = Entry::Type::directory;
            break;
        case image::Member::Type::symlink:
            entry.type = Entry::Type::symlink;
            break;
        case image::Member::Type::other:
            refuse("holds something that is neither file nor directory nor link", member->path);
    }
    if (!image::is_safe_path(entry.path)) refuse("holds a file with an unsafe name", entry.path);
    return entry;
}

std::string Unpacker::read_text(const Entry& entry, std::uint64_t limit) {
    if (entry.type != Entry::Type::file || entry.size > limit) refuse("holds no text where one should be", entry.path);
    std::string text;
    for (ByteSpan bytes = reader_.data(); !bytes.empty(); bytes = reader_.data()) text += text_of(bytes);
    if (entry.path == index_member) return text;
    Entry read = entry;
    read.sha256 = sha256_of(text);
    index_ += read.index_line();
    return text;
}

void Unpacker::unpack(const Path& into, const std::function<void(std::uint64_t)>& advance) {
    std::optional<Entry> entry = std::exchange(pending_, std::nullopt);
    for (; entry && entry->path != index_member; entry = next()) {
        const Path path = into / entry->path;
        const std::string_view top = first_part(entry->path);
        if (top != "data" && top != wal_folder && !is_number(top))
            refuse("holds a file that belongs nowhere", entry->path);
        switch (entry->type) {
            case Entry::Type::directory:
                make_directory(*entry, path);
                directories_.push_back(*entry);
                break;
            case Entry::Type::symlink:
                if (top != "data" || !stays_inside(entry->path, entry->link_target))
                    refuse("holds a link that leads out of it", entry->path);
                links_.push_back(*entry);
                break;
            case Entry::Type::file:
                write_file(*entry, path, advance);
                break;
        }
        if (entry->type != Entry::Type::file) entry->sha256 = sha256_of(entry->link_target);
        index_ += entry->index_line();
        if (index_.size() > largest_index) refuse("holds more files than an export can");
    }
    if (!entry) refuse("ends before its index: it was cut off");
    compare_index(read_text(*entry, largest_index));
    if (next()) refuse("goes on behind its index");
    index_hash_ = sha256_of(index_);
    finish_trees(into);
}

void Unpacker::make_directory(const Entry& entry, const Path& path) {
    const bool tree = entry.path.find('/') == std::string::npos && entry.path != wal_folder;
    if (first_part(entry.path) == wal_folder && entry.path != wal_folder)
        refuse("holds a directory where WAL should be", entry.path);
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) refuse("names a file twice", entry.path);
    if (!std::filesystem::is_directory(path.parent_path(), error)) refuse("holds a file in no directory", entry.path);
    if (tree) return image::make_image_directory(path);
    if (::mkdir(path.c_str(), 0700) != 0) throw Error::from_errno(errno, "cannot create directory", path.string());
}

void Unpacker::write_file(Entry& entry, const Path& path, const std::function<void(std::uint64_t)>& advance) {
    const std::string name = path.filename().string();
    if (entry.path.find('/') == std::string::npos) refuse("holds a file that belongs nowhere", entry.path);
    if (first_part(entry.path) == wal_folder) {
        const bool history = name == wal::history_name(backup_.timeline) && entry.size <= largest_history;
        if (!history && (wal_names_.count(name) == 0 || entry.size != backup_.xlog_segment_size.bytes()))
            refuse("holds WAL that the backup does not need", entry.path);
        if (history) header_.bytes += entry.size;
    }
    if (entry.size > header_.bytes - bytes_) refuse("holds more than it says", entry.path);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST) refuse("names a file twice", entry.path);
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) refuse("holds a file in no directory", entry.path);
    if (!fd) throw Error::from_errno(errno, "cannot create file", path.string());
    image::Sha256 hash;
    for (ByteSpan bytes = reader_.data(); !bytes.empty(); bytes = reader_.data()) {
        files().append(fd.get(), bytes, path);
        hash.add(text_of(bytes));
        bytes_ += bytes.size();
        if (advance) advance(bytes_);
    }
    if (::fchmod(fd.get(), (entry.mode & 0777) | 0600) != 0)
        throw Error::from_errno(errno, "cannot set mode of file", path.string());
    set_time(path, entry.modified_ns);
    entry.sha256 = hash.hex();
}

void Unpacker::finish_trees(const Path& into) {
    for (const wal::Segment& segment : backup_.required_segments()) {
        const std::string name = segment.name(backup_.xlog_segment_size);
        if (!std::filesystem::exists(into / wal_folder / name)) refuse("lacks WAL that the backup needs", name);
    }
    for (const Entry& link : links_) {
        const std::string_view name = std::string_view(link.path).substr(link.path.rfind('/') + 1);
        const bool space = is_number(name) && link.path == fmt::format("data/pg_tblspc/{}", name);
        if (space && !std::filesystem::is_directory(into / name)) refuse("lacks a tablespace", link.path);
        // In a catalogue they lead to the tree by its place, as Barman's do.
        const Path target = space ? into / name : Path(link.link_target);
        if (::symlink(target.c_str(), (into / link.path).c_str()) != 0)
            throw Error::from_errno(errno, "cannot create link", (into / link.path).string());
        set_time(into / link.path, link.modified_ns);
    }
    // Each stays inside by its text; two of them together may not.
    const Path inside = std::filesystem::canonical(into);
    for (const Entry& link : links_) {
        const Path end = std::filesystem::weakly_canonical(into / link.path);
        if (!end.string().starts_with(inside.string() + "/")) refuse("holds a link that leads out of it", link.path);
    }
    std::reverse(directories_.begin(), directories_.end());
    for (const Entry& directory : directories_) {
        const Path path = into / directory.path;
        if (::chmod(path.c_str(), (directory.mode & 0777) | 0700) != 0)
            throw Error::from_errno(errno, "cannot set mode of directory", path.string());
        set_time(path, directory.modified_ns);
    }
}

// Both are made in the same way, so the first line that differs names what was altered.
void Unpacker::compare_index(const std::string& index) const {
    if (index == index_) return;
    const auto [mine, its] = std::mismatch(index_.begin(), index_.end(), index.begin(), index.end());
    const std::size_t begin = index_.rfind('\n', static_cast<std::size_t>(mine - index_.begin())) + 1;
    const std::string line = index_.substr(begin, index_.find('\n', begin) - begin);
    refuse("is damaged or was altered: a file is not what the index says", line.substr(line.rfind(' ') + 1));
}

void Unpacker::refuse(const std::string& what, const std::string& member) const {
    throw Error(ErrorCode::corrupt, "the export " + what + (member.empty() ? "" : ": " + member), where_,
                "copy it again from where it was exported, or export the backup anew");
}

}  // namespace coffer::transfer
