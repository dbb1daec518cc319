#include "lib/wal/gaps.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace coffer::wal {
namespace {

constexpr std::uint64_t most_bytes = 16 << 20;

Path file_of(const config::Server& server) {
    return server.meta_directory() / "coffer-wal-gaps";
}

std::optional<WalGap> parse(const std::string& line) {
    std::istringstream words(line);
    std::uint64_t seconds = 0;
    WalGap gap;
    std::string timeline, from, from_lsn, to, to_lsn;
    if (!(words >> seconds >> timeline >> gap.timeline >> from >> from_lsn >> to >> to_lsn)) return std::nullopt;
    const auto begin = Lsn::parse(from_lsn), end = Lsn::parse(to_lsn);
    if (timeline != "timeline" || from != "from" || to != "to" || !begin || !end) return std::nullopt;
    gap.from = *begin;
    gap.to = *end;
    return gap;
}

}  // namespace

std::string WalGap::to_string() const {
    return fmt::format("timeline {} from {} to {}", timeline, from.to_string(), to.to_string());
}

std::vector<WalGap> read_gaps(const config::Server& server) {
    std::vector<WalGap> gaps;
    std::istringstream lines(read_file(file_of(server), most_bytes).value_or(""));
    for (std::string line; std::getline(lines, line);) {
        if (const auto gap = parse(line)) gaps.push_back(*gap);
    }
    return gaps;
}

void note_gap(const config::Server& server, const WalGap& gap, WallTime now) {
    const auto noted = read_gaps(server);
    if (std::find(noted.begin(), noted.end(), gap) != noted.end()) return;
    const Path file = file_of(server);
    std::istringstream lines(read_file(file, most_bytes).value_or(""));
    std::string content;
    for (std::string line; std::getline(lines, line);) {
        const auto other = parse(line);
        if (!other || other->timeline != gap.timeline || other->from != gap.from) content += line + "\n";
    }
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    write_file_durably(file, content + fmt::format("{} {}\n", seconds, gap.to_string()));
}

}  // namespace coffer::wal
