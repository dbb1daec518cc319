#pragma once
// A tree of base/<ID> into which another program copies files (rsync): made ready before, read and described after.
//
// The directory may be an older image's clone. Files are looked at once they are there: size, CRC-32C and pages
// (page_checksum.h), in several threads; what did not change since the older image is not read, for its manifest
// describes it. Nothing is synced here. Errors: io, no_space, corrupt, canceled. One thread at a time, unless it says
// otherwise.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/files.h"
#include "lib/catalogue/backup_info.h"
#include "lib/image/page_checksum.h"

namespace coffer::image {

struct CopiedFile {
    std::uint64_t size = 0;  // as it is here
    std::int64_t mtime = 0;  // on the server
    bool described = false;  // size and crc32c are those of what is here
    bool trusted = false;    // that it is unchanged since the older image
    std::uint32_t crc32c = 0;
};

class CopiedTree {
  public:
    explicit CopiedTree(Path backup_path) : backup_path_(std::move(backup_path)) {}

    // What is to be there, by path below PGDATA ("pg_tblspc/16384/PG_15_…/5/16390" for tablespaces).
    void add_directory(const std::string& path, mode_t mode);
    void add_tablespace(std::uint32_t oid);
    void add_file(const std::string& path, std::int64_t mtime);
    // The name is gone from the server.
    void forget_file(const std::string& path) { files_.erase(path); }
    [[nodiscard]] bool has_file(const std::string& path) const { return files_.contains(path); }

    // Removes what is not to be there, then makes the directories and the links of tablespaces.
    void make_ready();
    // Removes what is not to be there.
    void remove_surplus();
    // The file is as it was in the older image. Any thread, for different files.
    void trust(const std::string& path) { files_.at(path).trusted = true; }
    // It is not (any more). Any thread, for different files.
    void changed(const std::string& path);
    // Takes over what the older image's manifest, if there is one, says of files that are trusted.
    void describe_trusted();
    // Reads the files that are not described yet. begin_lsn: nullopt where pages have no checksums. read: so many bytes
    // more (any thread).
    void describe(std::optional<Lsn> begin_lsn, unsigned jobs, const std::function<void(std::uint64_t)>& read);
    // Writes a manifest of all of them. Returns its own checksum.
    std::string write_manifest(std::optional<std::uint64_t> system_identifier, TimelineId timeline, Lsn begin, Lsn end);

    // A file that this machine writes itself (backup_label). Whoever shares an old one of this name keeps it.
    void write(const std::string& path, std::string_view content, std::int64_t mtime);

    // Wrong pages, by file, as PageChecker tells them apart.
    struct WrongPages {
        std::vector<SuspectPage> suspects, newer;
    };
    [[nodiscard]] const std::map<std::string, WrongPages>& wrong_pages() const noexcept { return wrong_pages_; }
    [[nodiscard]] const std::unordered_map<std::string, CopiedFile>& files() const noexcept { return files_; }
    [[nodiscard]] std::uint64_t pages_checked() const noexcept { return pages_checked_; }
    [[nodiscard]] std::uint64_t bytes() const;
    [[nodiscard]] Path place_of(const std::string& path) const;
    [[nodiscard]] Path data_path() const { return backup_path_ / "data"; }

  private:
    void remove_surplus_below(const Path& root, const std::string& prefix);

    Path backup_path_;
    std::map<std::string, mode_t> directories_;  // a directory before what is in it
    std::vector<std::uint32_t> tablespaces_;
    std::unordered_map<std::string, CopiedFile> files_;
    std::map<std::string, WrongPages> wrong_pages_;
    std::uint64_t pages_checked_ = 0;
};

}  // namespace coffer::image
