#include "lib/wal/codec.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/config/level_range.h"
#include "lib/wal/codec_streams.h"

namespace coffer::wal {
namespace {

using namespace std::string_view_literals;

struct Levels {
    Codec codec;
    int low, medium, high;
};

constexpr std::array<Levels, 6> levels{{
    {Codec::none, 0, 0, 0},
    {Codec::gzip, 1, 6, 9},
    {Codec::bzip2, 1, 5, 9},
    {Codec::xz, 1, 3, 5},
    {Codec::zstd, 1, zstd_for_wal, 9},
    {Codec::lz4, 0, 6, 10},
}};

struct Magic {
    Codec codec;
    std::string_view bytes;
};
constexpr std::array<Magic, 5> magics{{
    {Codec::gzip, "\x1f\x8b\x08"sv},
    {Codec::bzip2, "BZh"sv},
    {Codec::xz, "\xfd\x37zXZ\0"sv},
    {Codec::zstd, "\x28\xb5\x2f\xfd"sv},
    {Codec::lz4, "\x04\x22\x4d\x18"sv},
}};
constexpr std::string_view snappy_magic = "\xff\x06\0\0sNaPpY"sv;

bool starts_with(ByteSpan data, std::string_view magic) noexcept {
    const ByteSpan wanted = as_byte_span(magic);
    return data.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), data.begin());
}

class SpanSource : public detail::ByteSource {
  public:
    explicit SpanSource(ByteSpan data) noexcept : data_(data) {}
    // In pieces, because zlib and libbz2 count in 32 bits.
    ByteSpan next() override {
        const ByteSpan piece = data_.first(std::min<std::size_t>(data_.size(), 1U << 30));
        data_ = data_.subspan(piece.size());
        return piece;
    }

  private:
    ByteSpan data_;
};

class FileSource : public detail::ByteSource {
  public:
    explicit FileSource(const Path& path) : path_(path), fd_(files().open(path, O_RDONLY)), piece_(detail::piece_size) {
        ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
        fill();
    }
    [[nodiscard]] ByteSpan first() const noexcept { return ByteSpan(piece_.data(), size_); }
    ByteSpan next() override {
        if (!first_given_) {
            first_given_ = true;
        } else if (size_ != 0) {
            fill();
        }
        return first();
    }

  private:
    void fill() {
        ssize_t got = 0;
        do {
            got = ::read(fd_.get(), piece_.data(), piece_.size());
        } while (got < 0 && errno == EINTR);
        if (got < 0) throw Error::from_errno(errno, "cannot read file", path_.string());
        size_ = static_cast<std::size_t>(got);
    }

    const Path& path_;
    UniqueFd fd_;
    detail::Piece piece_;
    std::size_t size_ = 0;
    bool first_given_ = false;
};

void copy_plain(detail::ByteSource& in, const Sink& out) {
    for (ByteSpan data = in.next(); !data.empty(); data = in.next()) out(data);
}

void decompress_source(detail::ByteSource& in, ByteSpan first, const Sink& sink, const std::string& where) {
    if (starts_with(first, snappy_magic)) {
        throw Error(ErrorCode::not_supported, "file is compressed with snappy, which is not supported", where);
    }
    switch (detect_codec(first)) {
        case Codec::none:
            return copy_plain(in, sink);
        case Codec::gzip:
            return detail::decompress_gzip(in, sink, where);
        case Codec::bzip2:
            return detail::decompress_bzip2(in, sink, where);
        case Codec::xz:
            return detail::decompress_xz(in, sink, where);
        case Codec::zstd:
            return detail::decompress_zstd(in, sink, where);
        case Codec::lz4:
            return detail::decompress_lz4(in, sink, where);
    }
}

// A sink that collects into text, at most limit bytes.
Sink collector(std::string& text, std::uint64_t limit, const std::string& where) {
    return [&text, limit, &where](ByteSpan data) {
        if (data.size() > limit - text.size()) {
            throw Error(ErrorCode::corrupt, "file is larger than it can rightly be when decompressed", where);
        }
        text.append(reinterpret_cast<const char*>(data.data()), data.size());
    };
}

}  // namespace

int level_of(Codec codec, const std::string& level) {
    const Levels& row = levels.at(static_cast<std::size_t>(codec));
    if (level == "low") return row.low;
    if (level == "medium" || level.empty()) return row.medium;
    if (level == "high") return row.high;
    const config::LevelRange range = config::level_range(codec);
    int number = 0;
    const auto [end, error] = std::from_chars(level.data(), level.data() + level.size(), number);
    if (error != std::errc() || end != level.data() + level.size() || number < range.least || number > range.most) {
        throw Error(ErrorCode::invalid_configuration,
                    "compression_level " + level + " does not exist for this compression", {},
                    fmt::format("use low, medium, high or a number from {} to {}", range.least, range.most));
    }
    return codec == Codec::none ? 0 : number;
}

Codec detect_codec(ByteSpan first_bytes) noexcept {
    for (const Magic& magic : magics) {
        if (starts_with(first_bytes, magic.bytes)) return magic.codec;
    }
    return Codec::none;
}

void compress_to(int fd, ByteSpan data, Codec codec, int level, const Path& path) {
    const Sink out = [&](ByteSpan piece) { files().append(fd, piece, path); };
    switch (codec) {
        case Codec::none:
            return out(data);
        case Codec::gzip:
            return detail::compress_gzip(data, level, out);
        case Codec::bzip2:
            return detail::compress_bzip2(data, level, out);
        case Codec::xz:
            return detail::compress_xz(data, level, out);
        case Codec::zstd:
            return detail::compress_zstd(data, level, out);
        case Codec::lz4:
            return detail::compress_lz4(data, level, out);
    }
}

void decompress_file(const Path& path, const Sink& sink) {
    FileSource source(path);
    decompress_source(source, source.first(), sink, path.string());
}

std::string decompress_file(const Path& path, std::uint64_t limit) {
    std::string text;
    const std::string where = path.string();
    decompress_file(path, collector(text, limit, where));
    return text;
}

void decompress(ByteSpan data, const Sink& sink, const Path& path) {
    SpanSource source(data);
    decompress_source(source, data, sink, path.string());
}

std::string decompress(ByteSpan data, std::uint64_t limit, const Path& path) {
    std::string text;
    const std::string where = path.string();
    decompress(data, collector(text, limit, where), path);
    return text;
}

}  // namespace coffer::wal
