#pragma once
// The stream that put-wal takes: a tar of one WAL file and, behind it, of the list of its checksum.
//
// Format: POSIX.1-2001 (pax) interchange, of which a short name and a size below 8 GB need the ustar header only; the
// list is SHA256SUMS or MD5SUMS, a line "DIGEST *NAME" (sha256sum, md5sum --binary). The digest is made while the bytes
// go out, so the file is read once. One thread; memory is 256 kB.
#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/files.h"

namespace coffer::clients {

enum class Digest { sha256, md5 };

// The 512 bytes in front of a file's content. Throws invalid_argument for a name over 99 bytes.
std::string tar_header(const std::string& name, std::uint64_t size, std::int64_t modified);

using Write = std::function<void(ByteSpan)>;
// The whole stream of the file. Throws io (also when it becomes shorter meanwhile), and whatever write throws.
void write_wal_tar(const Path& path, Digest digest, const Write& write);

}  // namespace coffer::clients
