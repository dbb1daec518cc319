#pragma once
// One file of a backup, while it is read from its begin to its end: is it what the manifest says, and are its pages
// whole? One thread.
#include <optional>

#include "lib/catalogue/backup_info.h"
#include "lib/image/manifest.h"
#include "lib/image/page_checksum.h"
#include "lib/verify/backup_check.h"
#include "lib/verify/file_digest.h"

namespace coffer::verify {

class FileCheck {
  public:
    // expected: with no algorithm only the pages are looked at. Both must outlive it. Throws corrupt (file_digest.h).
    FileCheck(const catalogue::BackupInfo& backup, const image::ManifestFile& expected);
    void add(ByteSpan bytes);
    // nullopt: it is sound. To be called once.
    std::optional<Finding> finish();
    [[nodiscard]] std::uint64_t pages() const noexcept { return pages_.checked(); }

  private:
    const catalogue::BackupInfo& backup_;
    const image::ManifestFile& expected_;
    FileDigest digest_;
    std::optional<std::uint32_t> first_block_;
    image::PageChecker pages_;
};

}  // namespace coffer::verify
