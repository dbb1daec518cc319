#include "lib/transfer/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <new>

#include "lib/base/error.h"

namespace coffer::transfer {
namespace {

constexpr std::int64_t second = 1'000'000'000;

int add_filter(archive* writer, config::Codec codec) {
    switch (codec) {
        case config::Codec::none:
            return archive_write_add_filter_none(writer);
        case config::Codec::gzip:
            return archive_write_add_filter_gzip(writer);
        case config::Codec::bzip2:
            return archive_write_add_filter_bzip2(writer);
        case config::Codec::xz:
            return archive_write_add_filter_xz(writer);
        case config::Codec::zstd:
            return archive_write_add_filter_zstd(writer);
        case config::Codec::lz4:
            break;
    }
    throw Error(ErrorCode::not_supported, "an export cannot be compressed like this", std::string(name_of(codec)),
                "use none, gzip, bzip2, xz or zstd");
}

unsigned type_of(Entry::Type type) {
    switch (type) {
        case Entry::Type::directory:
            return AE_IFDIR;
        case Entry::Type::symlink:
            return AE_IFLNK;
        case Entry::Type::file:
            break;
    }
    return AE_IFREG;
}

}  // namespace

void TarWriter::Free::operator()(archive* writer) const noexcept {
    archive_write_free(writer);
}

TarWriter::TarWriter(int fd, const Path& path, config::Codec codec, const std::optional<std::string>& level)
    : sink_(std::make_unique<Sink>(Sink{fd, path})), archive_(archive_write_new()) {
    if (!archive_) throw std::bad_alloc();
    check(archive_write_set_format_pax(archive_.get()), "cannot begin the export");
    check(archive_write_set_option(archive_.get(), "pax", "hdrcharset", "BINARY"), "cannot begin the export");
    check(add_filter(archive_.get(), codec), "cannot compress the export");
    if (level &&
        archive_write_set_filter_option(archive_.get(), nullptr, "compression-level", level->c_str()) != ARCHIVE_OK) {
        throw Error(ErrorCode::invalid_argument, "this compression has no such level", *level,
                    "use a number from 1 to 9 (none has no level; zstd goes up to 22)");
    }
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    const auto write = [](archive* writer, void* data, const void* bytes, std::size_t size) noexcept -> la_ssize_t {
        auto& sink = *static_cast<Sink*>(data);
        try {
            files().append(sink.fd, {static_cast<const std::byte*>(bytes), size}, sink.path);
            sink.written += size;
            return static_cast<la_ssize_t>(size);
        } catch (...) {  // thrown again by check(): no exception may pass through C
            sink.failure = std::current_exception();
            archive_set_error(writer, EIO, "the export cannot be written");
            return -1;
        }
    };
    check(archive_write_open(archive_.get(), sink_.get(), nullptr, write, nullptr), "cannot begin the export");
}

void TarWriter::check(long status, const char* what) {
    if (sink_->failure) std::rethrow_exception(std::exchange(sink_->failure, {}));
    if (status >= ARCHIVE_OK) return;
    const char* reason = archive_error_string(archive_.get());
    throw Error(ErrorCode::io, std::string(what) + " (" + (reason == nullptr ? "" : reason) + ")",
                sink_->path.string());
}

void TarWriter::begin(const Entry& entry) {
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> head(archive_entry_new(), &archive_entry_free);
    if (!head) throw std::bad_alloc();
    archive_entry_set_pathname(head.get(), entry.path.c_str());
    archive_entry_set_filetype(head.get(), type_of(entry.type));
    archive_entry_set_perm(head.get(), entry.mode);
    archive_entry_set_uid(head.get(), entry.uid);
    archive_entry_set_gid(head.get(), entry.gid);
    archive_entry_set_mtime(head.get(), entry.modified_ns / second, entry.modified_ns % second);
    archive_entry_set_size(head.get(), entry.type == Entry::Type::file ? static_cast<la_int64_t>(entry.size) : 0);
    if (entry.type == Entry::Type::symlink) archive_entry_set_symlink(head.get(), entry.link_target.c_str());
    check(archive_write_header(archive_.get(), head.get()), "cannot write to the export");
}

void TarWriter::data(ByteSpan bytes) {
    while (!bytes.empty()) {
        const la_ssize_t written = archive_write_data(archive_.get(), bytes.data(), bytes.size());
        check(written <= 0 ? ARCHIVE_FATAL : ARCHIVE_OK, "cannot write to the export");
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

void TarWriter::finish() {
    check(archive_write_close(archive_.get()), "cannot end the export");
}

std::string ending_of(config::Codec codec) {
    switch (codec) {
        case config::Codec::gzip:
            return ".tar.gz";
        case config::Codec::bzip2:
            return ".tar.bz2";
        case config::Codec::xz:
            return ".tar.xz";
        case config::Codec::zstd:
            return ".tar.zst";
        default:
            return ".tar";
    }
}

}  // namespace coffer::transfer
