#include "lib/verify/file_check.h"

#include <algorithm>

namespace coffer::verify {
namespace {

constexpr std::size_t most_blocks = 1000;

// Of the file.
std::vector<std::uint32_t> damaged_blocks(const image::PageChecker& pages, Lsn end) {
    std::vector<std::uint32_t> blocks;
    const auto add = [&](const image::SuspectPage& page) {
        if (blocks.size() < most_blocks) blocks.push_back(page.block % image::blocks_per_segment);
    };
    for (const image::SuspectPage& page : pages.suspects()) add(page);
    for (const image::SuspectPage& page : pages.newer()) {
        if (page.lsn > end) add(page);
    }
    std::sort(blocks.begin(), blocks.end());
    return blocks;
}

}  // namespace

FileCheck::FileCheck(const catalogue::BackupInfo& backup, const image::ManifestFile& expected)
    : backup_(backup),
      expected_(expected),
      digest_(expected.algorithm),
      first_block_(backup.data_checksums ? image::first_block_of(expected.path) : std::nullopt),
      pages_(first_block_.value_or(0), backup.begin_xlog) {}

void FileCheck::add(ByteSpan bytes) {
    digest_.add(bytes);
    if (first_block_) pages_.add(bytes);
}

std::optional<Finding> FileCheck::finish() {
    Finding finding{expected_.path, {}, damaged_blocks(pages_, backup_.end_xlog)};
    const bool other = !digest_.none() && digest_.text() != expected_.checksum;
    if (!other && finding.blocks.empty()) return std::nullopt;
    finding.what =
        other ? "has not the checksum that is in the manifest" : "has damaged pages, and had them when it was copied";
    return finding;
}

}  // namespace coffer::verify
