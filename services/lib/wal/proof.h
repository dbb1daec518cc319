#pragma once
// What a WAL file's content was when the archiver had proven it (a segment page by page and record by record): a
// checksum of the plain bytes, kept with the archived file, whatever that is compressed with.
//
// Whoever gives the file out later compares checksums, which takes a tenth of the time of proving it again. It lies in
// an extended attribute (user.coffer.proof: CRC-32C in hex, and the size), so it goes where the file goes, Barman is
// not disturbed, and files that others archived just have none. Thread-safe.
#include <cstdint>
#include <optional>

#include "lib/base/files.h"
#include "lib/wal/admission.h"

namespace coffer::wal {

struct Proof {
    std::uint32_t crc32c = 0;
    std::uint64_t size = 0;
    friend bool operator==(const Proof&, const Proof&) = default;
};

Proof proof_of(ByteSpan plain) noexcept;

// To be called before the file is synced. False where the file system keeps no such attributes, or has no room: then
// there is none, and the content is proven again whenever it is needed.
bool keep_proof(int fd, const Proof& proof) noexcept;
// nullopt when there is none, or none that can be read.
std::optional<Proof> kept_proof(const Path& path) noexcept;

// Is this archived segment still what was archived? By its proof, or, without one, by its pages and records. Throws io.
bool is_sound(const Path& archived, SegmentSize size, const KnownSystem& known);

}  // namespace coffer::wal
