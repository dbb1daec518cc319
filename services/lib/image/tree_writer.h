#pragma once
// Writes the files of a base backup into base/<ID>/data and base/<ID>/<tablespace oid>, and looks at every byte on the
// way.
//
// Of each file the size and the CRC-32C are kept, to be held against the manifest; of each relation the pages are
// checked (page_checksum.h). Where the directories are an older image's clone, only what differs is written
// (image_file.h), and what did not come is removed at the end. Nothing is synced here: one syncfs follows. Names from
// the server are foreign: absolute ones, "..", anything that is no plain file or directory, and symlinks other than
// pg_tblspc/<oid> are refused (corrupt). One thread.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/image/page_checksum.h"
#include "lib/image/tar_reader.h"

namespace coffer::image {

struct ReceivedFile {
    std::uint64_t size = 0;
    std::uint32_t crc32c = 0;
};
using ReceivedFiles = std::unordered_map<std::string, ReceivedFile>;  // by path below PGDATA, as in the manifest

// A file that has another name, and other bytes, in the image than what was received.
struct ManifestChange {
    std::string path;
    std::uint64_t size = 0;
    std::uint32_t crc32c = 0;
};
using ManifestChanges = std::unordered_map<std::string, ManifestChange>;  // by the path that was received

struct TreeStatistics {
    std::uint64_t bytes = 0;
    std::uint64_t bytes_written = 0;  // of these: the others are shared with the image that this one was cloned from
    std::uint64_t pages_checked = 0;
    std::uint64_t pages_torn_allowed = 0;
    std::uint64_t suspects_total = 0;
};

class TreeWriter {
  public:
    // begin_lsn: nullopt when the cluster has no page checksums.
    TreeWriter(Path backup_path, std::optional<Lsn> begin_lsn);

    // The archives will be those of an incremental base backup, and the directories are a clone of the backup on which
    // it builds: base is what that one's manifest says. To be called first.
    void apply_increments(ReceivedFiles base) { base_ = std::move(base); }
    // What follows belongs to PGDATA (nullopt) or to this tablespace. Creates its directory.
    void begin_archive(std::optional<std::uint32_t> tablespace);
    // Writes all members of the archive.
    void write(TarReader& reader);

    [[nodiscard]] const ReceivedFiles& received() const noexcept { return received_; }
    // What became of increments: by the path of the increment, the file that it was applied to.
    [[nodiscard]] const ManifestChanges& patched() const noexcept { return patched_; }
    [[nodiscard]] const TreeStatistics& statistics() const noexcept { return statistics_; }
    // Removes what a clone had and the backup has not. To be called once, when all is written; keeps the manifest.
    void remove_surplus();
    // To be called once, when all is written, with the backup's end: a wrong page whose LSN lies behind it was not
    // being written while the backup ran, whatever it says.
    void judge_newer_pages(Lsn end_lsn);
    // At most the first thousand. Wrong, and not between the backup's begin and end: damaged, or read while it was
    // being written.
    [[nodiscard]] const std::vector<catalogue::BadPage>& suspects() const noexcept { return suspects_; }
    [[nodiscard]] Path data_path() const { return backup_path_ / "data"; }

  private:
    void write_file(TarReader& reader, const Member& member);
    void apply_increment(TarReader& reader, const Member& member, ReceivedFile& file);
    void make_directory(const Member& member);
    void make_link(const Member& member);
    void remove_surplus_below(const Path& root, const std::string& prefix);
    void keep_wrong_pages(const std::string& path, const PageChecker& checker);
    void keep_suspect(catalogue::BadPage page);

    Path backup_path_;
    std::optional<Lsn> begin_lsn_;
    Path root_;
    std::string prefix_;  // of manifest paths
    std::optional<ReceivedFiles> base_;
    ReceivedFiles received_;
    ManifestChanges patched_;
    std::unordered_set<std::string> patched_names_;
    std::unordered_set<std::string> directories_, links_;
    std::set<std::uint32_t> tablespaces_;
    TreeStatistics statistics_;
    std::vector<catalogue::BadPage> suspects_, newer_;
};

// A relative path without empty, "." and ".." parts.
bool is_safe_path(std::string_view path) noexcept;

}  // namespace coffer::image
