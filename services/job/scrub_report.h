#pragma once
// What a scrub found, for people and machines.
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/verify/file_content.h"

namespace coffer::job {

struct ScrubFinding {
    std::string backup;  // empty: it is WAL
    verify::Finding finding;
    std::vector<std::string> shared_by;  // other backups with the same bytes
    std::string mended_by;               // "backup 20261128T120000", "the server"; empty: it is not mended
    std::string set_aside;               // the file in errors/
    std::string why_not;                 // it is not mended
};

struct ScrubReport {
    std::vector<ScrubFinding> findings;
    std::vector<std::string> mended;  // what was found earlier and is whole now: "backup 2026… file base/5/1259"
    std::vector<std::string> notes;
    std::vector<std::string> images;  // backups that were proven to their end
    std::uint64_t wal_files = 0;      // that were proven
    std::uint64_t bytes = 0;          // at rest, that were proven
    std::uint64_t bytes_read = 0;     // less, where backups share them
    std::uint64_t bytes_held = 0;     // of everything
    std::uint64_t share = 0;          // that a run proves at least
    std::optional<WallTime> oldest;   // proof of everything that is held, or when it came
    std::size_t damaged = 0;          // things that are damaged still, whenever that was found
    double seconds = 0;
};

std::string text_of(const ScrubFinding& finding);
std::string summary(const std::string& server, const ScrubReport& report);
std::string json_text(const std::string& server, const ScrubReport& report);

}  // namespace coffer::job
