#pragma once
// backup_manifest: what files a base backup has, of which size, with which checksum.
//
// Format: PostgreSQL documentation, "Backup Manifest Format", versions 1 (13 to 16) and 2 (17 and later, with the
// system identifier). Read as a stream: a manifest of 100,000 files is 20 MB long, but is never in memory as a whole.
// Its own checksum (SHA-256 over all but its last line) is verified first. Foreign bytes: throws corrupt. Thread-safe.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/files.h"
#include "lib/base/lsn.h"
#include "lib/image/tree_writer.h"

namespace coffer::image {

struct ManifestFile {
    std::string path;
    std::uint64_t size = 0;
    std::string modified;   // as it stands there
    std::string algorithm;  // "CRC32C", "SHA256", …; empty: none
    std::string checksum;   // hexadecimal, lower case
};

struct WalRange {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;
};

struct ManifestHead {
    std::uint64_t version = 0;
    std::optional<std::uint64_t> system_identifier;
    std::vector<WalRange> wal_ranges;
    std::string checksum;  // of the manifest itself
};

using OnManifestFile = std::function<void(const ManifestFile&)>;
ManifestHead read_manifest(const Path& path, const OnManifestFile& on_file);
// The same from memory; the checksum of the manifest is verified only if asked for.
ManifestHead parse_manifest(std::string_view text, const OnManifestFile& on_file, bool verify_checksum = true);

// Holds what was received against the manifest (CRC-32C and size). Throws corrupt naming the files that are missing,
// different or not in the manifest; the manifest itself and pg_wal/ are not looked at. Returns the manifest's head.
ManifestHead compare_with_manifest(const Path& manifest, const ReceivedFiles& received);

// As it stands in manifests: the four bytes in memory order.
std::string manifest_crc32c(std::uint32_t crc);
// nullopt where its checksum is of another kind.
std::optional<std::uint32_t> crc32c_of(const ManifestFile& file);

}  // namespace coffer::image
