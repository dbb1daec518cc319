#pragma once
// Writes the files of a base backup into base/<ID>/data and base/<ID>/<tablespace oid>, and looks at every byte on the
// way.
//
// Of each file the size and the CRC-32C are kept, to be held against the manifest; of each relation the pages are
// checked (page_checksum.h). Nothing is synced here: one syncfs follows at the end. Names from the server are foreign:
// absolute ones, "..", anything that is no plain file or directory, and symlinks other than pg_tblspc/<oid> are refused
// (corrupt). One thread.
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
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

struct TreeStatistics {
    std::uint64_t bytes = 0;
    std::uint64_t pages_checked = 0;
    std::uint64_t pages_torn_allowed = 0;
    std::uint64_t suspects_total = 0;
};

class TreeWriter {
  public:
    // begin_lsn: nullopt when the cluster has no page checksums.
    TreeWriter(Path backup_path, std::optional<Lsn> begin_lsn);

    // What follows belongs to PGDATA (nullopt) or to this tablespace. Creates its directory.
    void begin_archive(std::optional<std::uint32_t> tablespace);
    // Writes all members of the archive.
    void write(TarReader& reader);

    [[nodiscard]] const ReceivedFiles& received() const noexcept { return received_; }
    [[nodiscard]] const TreeStatistics& statistics() const noexcept { return statistics_; }
    // To be called once, when all is written, with the backup's end: a wrong page whose LSN lies behind it was not
    // being written while the backup ran, whatever it says.
    void judge_newer_pages(Lsn end_lsn);
    // At most the first thousand. Wrong, and not between the backup's begin and end: damaged, or read while it was
    // being written.
    [[nodiscard]] const std::vector<catalogue::BadPage>& suspects() const noexcept { return suspects_; }
    [[nodiscard]] Path data_path() const { return backup_path_ / "data"; }

  private:
    void write_file(TarReader& reader, const Member& member);
    void make_directory(const Member& member);
    void make_link(const Member& member);
    void keep_wrong_pages(const std::string& path, const PageChecker& checker);
    void keep_suspect(catalogue::BadPage page);

    Path backup_path_;
    std::optional<Lsn> begin_lsn_;
    Path root_;
    std::string prefix_;  // of manifest paths
    ReceivedFiles received_;
    TreeStatistics statistics_;
    std::vector<catalogue::BadPage> suspects_, newer_;
};

// A relative path without empty, "." and ".." parts.
bool is_safe_path(std::string_view path) noexcept;

}  // namespace coffer::image
