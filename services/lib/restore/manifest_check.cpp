#include "lib/restore/manifest_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/image/manifest.h"
#include "lib/image/page_checksum.h"

namespace coffer::restore {
namespace {

constexpr std::size_t most_named = 10;

// Up to ten names of one kind.
class Names {
  public:
    void add(std::string_view name) {
        if (++count_ <= most_named) text_ += fmt::format("{}{}", text_.empty() ? "" : ", ", name);
    }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::string text() const { return text_ + (count_ > most_named ? ", …" : ""); }

  private:
    std::size_t count_ = 0;
    std::string text_;
};

// Manifests have the four bytes in memory order.
std::optional<std::uint32_t> crc_of(const image::ManifestFile& file) {
    if (file.algorithm != "CRC32C" || file.checksum.size() != 8) return std::nullopt;
    std::uint32_t number = 0;
    const char* const end = file.checksum.data() + file.checksum.size();
    const auto got = std::from_chars(file.checksum.data(), end, number, 16);
    if (got.ec != std::errc() || got.ptr != end) return std::nullopt;
    return __builtin_bswap32(number);
}

class Comparison {
  public:
    explicit Comparison(const ManifestQuestion& question) : q_(question) {
        for (Tree* const tree : q_.trees) {
            for (TreeEntry& entry : tree->entries) {
                if (!entry.directory) entries_.emplace(tree->prefix + entry.path, &entry);
            }
        }
    }

    void take(const image::ManifestFile& file) {
        if (file.path.starts_with("pg_wal/")) return;
        const auto found = entries_.find(file.path);
        if (found != entries_.end()) {
            compare(*found->second, file);
            entries_.erase(found);
        } else if (file.path == "global/pg_control" || file.path == "postgresql.auto.conf") {
            take_apart(file);
        } else if (!q_.left_out(file.path)) {
            differences_.add(file.path + " (missing)");
        }
    }

    void finish(const Path& manifest, std::vector<std::string>& warnings) {
        if (differences_.count() > 0) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("{} files of the backup are not as its manifest says: {}", differences_.count(),
                                    differences_.text()),
                        manifest.string(),
                        "choose another backup; --no-verify restores it as it is, for what can still be read from it");
        }
        Names extra;
        for (const auto& [path, entry] : entries_) {
            if (path != "backup_manifest") extra.add(path);
        }
        if (extra.count() > 0) {
            warnings.push_back(
                fmt::format("{} files are in the backup but not in its manifest; they are restored "
                            "unchecked: {}",
                            extra.count(), extra.text()));
        }
        if (unchecked_ > 0) {
            warnings.push_back(
                fmt::format("{} files have no CRC32C in the manifest: only their sizes are checked", unchecked_));
        }
    }

  private:
    void compare(TreeEntry& entry, const image::ManifestFile& file) {
        if (entry.size != file.size) differences_.add(fmt::format("{} (size)", file.path));
        entry.crc32c = crc_of(file);
        if (!entry.crc32c) ++unchecked_;
    }
    void take_apart(const image::ManifestFile& file) {
        struct stat status {};
        const Path path = q_.trees.front()->source / file.path;
        if (::lstat(path.c_str(), &status) != 0) return differences_.add(file.path + " (missing)");
        TreeEntry entry{file.path, static_cast<std::uint64_t>(status.st_size), false, {}};
        compare(entry, file);
        q_.apart->push_back(std::move(entry));
    }

    const ManifestQuestion& q_;
    std::unordered_map<std::string, TreeEntry*> entries_;
    Names differences_;
    std::size_t unchecked_ = 0;
};

}  // namespace

bool expect_from_manifest(const ManifestQuestion& question, std::vector<std::string>& warnings) {
    const Path manifest = question.trees.front()->source / "backup_manifest";
    if (!std::filesystem::exists(manifest)) {
        // PostgreSQL sends one with every base backup that it is asked for.
        if (question.backup.mode == "postgres") {
            throw Error(ErrorCode::corrupt, "the backup has lost its manifest", manifest.string(),
                        "choose another backup; --no-verify restores it without looking at its files");
        }
        warnings.emplace_back("this backup has no manifest: its files cannot be verified");
        return false;
    }
    try {
        Comparison comparison(question);
        image::read_manifest(manifest, [&](const image::ManifestFile& file) { comparison.take(file); });
        comparison.finish(manifest, warnings);
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        throw error.with_remedy(
            "choose another backup; --no-verify restores it as it is, for what can still be read from it");
    }
}

std::string damaged_blocks(const catalogue::BackupInfo& backup, const Tree& tree, const TreeEntry& entry) {
    const auto first = image::first_block_of(tree.prefix + entry.path);
    if (!backup.data_checksums || !first) return {};
    image::PageChecker checker(*first, backup.begin_xlog);
    const UniqueFd fd = files().open(tree.source / entry.path, O_RDONLY | O_NOFOLLOW);
    std::vector<std::byte> buffer(1ULL << 20);
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got <= 0) break;
        checker.add(ByteSpan(buffer.data(), static_cast<std::size_t>(got)));
    }
    Names blocks;
    for (const image::SuspectPage& page : checker.suspects()) {
        blocks.add(std::to_string(page.block % image::blocks_per_segment));
    }
    for (const image::SuspectPage& page : checker.newer()) {
        if (page.lsn > backup.end_xlog) blocks.add(std::to_string(page.block % image::blocks_per_segment));
    }
    if (blocks.count() == 0) return {};
    return fmt::format(", at block{} {}", blocks.count() == 1 ? "" : "s", blocks.text());
}

}  // namespace coffer::restore
