#include "lib/image/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <new>

#include "lib/base/error.h"

namespace coffer::image {
namespace {

Member::Type type_of(archive_entry* entry) {
    if (archive_entry_hardlink(entry) != nullptr) return Member::Type::other;
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
            return Member::Type::file;
        case AE_IFDIR:
            return Member::Type::directory;
        case AE_IFLNK:
            return Member::Type::symlink;
        default:
            return Member::Type::other;
    }
}

std::string text(const char* value) {
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

void TarReader::Free::operator()(archive* reader) const noexcept {
    archive_read_free(reader);
}

TarReader::TarReader(Pull pull, Form form)
    : source_(std::make_unique<Source>(Source{std::move(pull), {}})), archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_format_tar(archive_.get());
    if (form == Form::any_compression) {
        check(archive_read_support_filter_gzip(archive_.get()), "this system cannot read gzip");
        check(archive_read_support_filter_bzip2(archive_.get()), "this system cannot read bzip2");
        check(archive_read_support_filter_xz(archive_.get()), "this system cannot read xz");
        check(archive_read_support_filter_lz4(archive_.get()), "this system cannot read lz4");
        check(archive_read_support_filter_zstd(archive_.get()), "this system cannot read zstd");
    }
    const auto read = [](archive* reader, void* data, const void** buffer) noexcept -> la_ssize_t {
        auto& source = *static_cast<Source*>(data);
        try {
            const ByteSpan piece = source.pull();
            *buffer = piece.data();
            return static_cast<la_ssize_t>(piece.size());
        } catch (...) {  // thrown again by check(): no exception may pass through C
            source.failure = std::current_exception();
            archive_set_error(reader, EIO, "the source of the archive failed");
            return ARCHIVE_FATAL;
        }
    };
    check(archive_read_open(archive_.get(), source_.get(), nullptr, read, nullptr), "cannot open the archive");
}

void TarReader::check(int status, const char* what) {
    if (source_->failure) std::rethrow_exception(std::exchange(source_->failure, {}));
    if (status == ARCHIVE_OK || status == ARCHIVE_EOF) return;
    throw Error(ErrorCode::corrupt, std::string(what) + " (" + text(archive_error_string(archive_.get())) + ")", path_);
}

std::optional<Member> TarReader::next() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(archive_.get(), &entry);
    check(status, "the archive is damaged");
    if (status == ARCHIVE_EOF) return std::nullopt;
    Member member;
    member.path = text(archive_entry_pathname(entry));
    if (member.path.starts_with("./")) member.path.erase(0, 2);  // as the server writes pg_wal/archive_status
    while (member.path.size() > 1 && member.path.back() == '/') member.path.pop_back();
    member.type = type_of(entry);
    member.mode = static_cast<std::uint32_t>(archive_entry_perm(entry));
    member.size = member.type == Member::Type::file ? static_cast<std::uint64_t>(archive_entry_size(entry)) : 0;
    member.link_target = text(archive_entry_symlink(entry));
    member.uid = archive_entry_uid(entry);
    member.gid = archive_entry_gid(entry);
    constexpr std::int64_t second = 1'000'000'000, latest = 1LL << 33;
    const std::int64_t seconds = archive_entry_mtime(entry);
    if (seconds >= 0 && seconds < latest) member.modified_ns = seconds * second + archive_entry_mtime_nsec(entry);
    path_ = member.path;
    offset_ = 0;
    size_ = member.size;
    return member;
}

ByteSpan TarReader::data() {
    const void* buffer = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(archive_.get(), &buffer, &size, &offset);
    check(status, "the archive is damaged");
    if (status == ARCHIVE_EOF) {
        if (offset_ != size_) throw Error(ErrorCode::corrupt, "the archive ends within a file", path_);
        return {};
    }
    if (offset < 0 || static_cast<std::uint64_t>(offset) != offset_ || size > size_ - offset_) {
        throw Error(ErrorCode::corrupt, "the archive holds a file with holes", path_);
    }
    offset_ += size;
    if (size == 0) return data();
    return {static_cast<const std::byte*>(buffer), size};
}

}  // namespace coffer::image
