#pragma once
// Writes a backup_manifest, for images whose pages did not all come with the server's own.
//
// Format: PostgreSQL documentation, "Backup Manifest Format", versions 1 and 2. Written under a temporary name, which
// finish() takes away; nothing is synced. One thread.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/files.h"
#include "lib/image/manifest.h"

namespace coffer::image {

class ManifestWriter {
  public:
    ManifestWriter(Path path, std::optional<std::uint64_t> system_identifier);
    ~ManifestWriter();  // without finish() nothing is left
    ManifestWriter(const ManifestWriter&) = delete;
    ManifestWriter& operator=(const ManifestWriter&) = delete;

    void add(const ManifestFile& file);
    // The manifest's own checksum.
    std::string finish(const std::vector<WalRange>& wal_ranges);

  private:
    class Sink;
    const Path path_;
    std::unique_ptr<Sink> sink_;
    bool any_ = false;
};

// Writes the manifest anew in its place, with other names, sizes and checksums (CRC-32C) for some of its files. Returns
// its new checksum.
std::string change_manifest(const Path& manifest, const ManifestChanges& changes);

}  // namespace coffer::image
