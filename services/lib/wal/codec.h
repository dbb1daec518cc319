#pragma once
// Compression of WAL files. What a file is compressed with is found from its magic bytes, never from a name or an
// index, so that an archive stays readable whatever was configured when. Streams only: memory stays below a few MB per
// call.
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "lib/config/config.h"

namespace coffer::wal {

using config::Codec;

// The level of zstd that is none of its own: parameters chosen for WAL, above every number of config::level_range.
constexpr int zstd_for_wal = std::numeric_limits<int>::max();

// level: low, medium, high or a number; the mapping is Barman's (gzip 1/6/9, bzip2 1/5/9, xz 1/3/5, zstd 1/4/9, lz4
// 0/6/10), except that medium is zstd_for_wal with zstd, which makes smaller files than 4 in less time. Throws
// invalid_configuration for anything else or out of the codec's range.
int level_of(Codec codec, const std::string& level);

// The codec by the first bytes of a file; none for anything unknown.
Codec detect_codec(ByteSpan first_bytes) noexcept;

// Compresses the whole of data and appends it to fd. Throws no_space, io.
void compress_to(int fd, ByteSpan data, Codec codec, int level, const Path& path);

// Calls sink with the plain bytes of the file, in order. Throws corrupt (truncated or damaged), io.
using Sink = std::function<void(ByteSpan)>;
void decompress_file(const Path& path, const Sink& sink);
// All of it in memory; throws corrupt when it is more than limit bytes.
std::string decompress_file(const Path& path, std::uint64_t limit);

// The same for the bytes of a file that are in memory already; path is for the error only.
void decompress(ByteSpan data, const Sink& sink, const Path& path);
std::string decompress(ByteSpan data, std::uint64_t limit, const Path& path);

}  // namespace coffer::wal
