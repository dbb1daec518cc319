#pragma once
// One file of a backup, read once: is it what the manifest says, and which of its pages are wrong? Thread-safe.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/image/manifest.h"
#include "lib/image/page_checksum.h"

namespace coffer::verify {

struct Finding {
    std::string path;                   // relative to PGDATA ("pg_tblspc/16384/PG_15…/5/16390"), or a WAL file's name
    std::string what;                   // "is missing"
    std::vector<std::uint32_t> blocks;  // of the file, that are damaged; the first thousand
};

struct WantedFile {
    image::ManifestFile expected;
    bool in_manifest = false;
};

// What a file's bytes are, whichever backup they belong to.
struct Content {
    std::string digest;                     // in the manifest's kind; empty: none
    std::vector<image::SuspectPage> wrong;  // every page whose checksum is wrong, torn ones too
    std::uint64_t pages = 0;
};

// Does this errno of reading say that what is read is damaged? So do disks, and file systems that keep checksums.
bool says_damaged(int error_number) noexcept;

// A regular file of the size that the manifest says, open for reading; else what is wrong with it. Throws io.
struct OpenedFile {
    UniqueFd fd;
    std::optional<std::string> fault;
};
OpenedFile open_file(const Path& path, const WantedFile& file);

// Reads to the end; each: called for every piece, may throw. nullopt: the file system says that it is damaged.
using OnPiece = std::function<void(std::size_t bytes)>;
std::optional<Content> read_content(int fd, const Path& path, const WantedFile& file, bool data_checksums,
                                    const OnPiece& each);

// What the content is for this backup: pages that were torn while it ran are no damage. nullopt: all is well.
std::optional<Finding> judge(const WantedFile& file, const Content& content, const catalogue::BackupInfo& backup);

extern const char* const unreadable_file;  // what a finding says of one that the file system calls damaged
extern const char* const damaged_since;    // of one that has not its checksum
extern const char* const copied_damaged;   // of one that has it, and pages that are wrong

}  // namespace coffer::verify
