// cofferctl check-archived-wal-range: is every segment between two in the archive? By what lies there, not by the
// index.
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/wal/segment_name.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

// More than any archive holds; a slip of the finger is told at once instead of being listed for minutes.
constexpr std::uint64_t most_segments = 1ULL << 24;

// By the newest backup's record: without backups the usual size is all there is to go by.
wal::SegmentSize segment_size(const config::Server& server) {
    const auto backups = catalogue::Catalogue(server).backups();
    for (auto backup = backups.rbegin(); backup != backups.rend(); ++backup) {
        if (!backup->begin_wal.empty()) return backup->xlog_segment_size;
    }
    return {};
}

wal::Segment segment_named(const std::string& name, wal::SegmentSize size) {
    const auto segment = wal::Segment::parse(name, size);
    if (segment && segment->timeline != 0) return *segment;
    throw Error(ErrorCode::invalid_argument, "Invalid WAL segment name: " + name, {},
                fmt::format("a name has 24 upper-case hexadecimal digits, the last eight up to {:08X} with segments of "
                            "{} MB",
                            size.per_log() - 1, size.bytes() >> 20));
}

// Names of segments that have bytes, in the folders of this timeline.
std::set<std::string> held(const config::Server& server, TimelineId timeline) {
    std::set<std::string> names;
    const std::string prefix = fmt::format("{:08X}", timeline);
    if (!std::filesystem::is_directory(server.wals_directory)) return names;
    for (const auto& folder : std::filesystem::directory_iterator(server.wals_directory)) {
        if (!folder.path().filename().string().starts_with(prefix) || !folder.is_directory()) continue;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
            std::error_code gone;
            const auto size = entry.file_size(gone);
            if (!gone && size > 0) names.insert(entry.path().filename().string());
        }
    }
    return names;
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const std::string &begin = arguments.positionals[1], &end = arguments.positionals[2];
    const wal::SegmentSize size = segment_size(server);
    const wal::Segment first = segment_named(begin, size), last = segment_named(end, size);
    if (first.timeline != last.timeline) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("begin_wal ({}) and end_wal ({}) must be on the same timeline", begin, end), {},
                    "check each timeline on its own");
    }
    if (last.number < first.number) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("begin_wal ({}) must not be greater than end_wal ({})", begin, end));
    }
    if (last.number - first.number >= most_segments) {
        throw Error(ErrorCode::invalid_argument, "the range is longer than any archive", begin + ".." + end);
    }
    const std::set<std::string> names = held(server, first.timeline);
    nlohmann::json missing = nlohmann::json::array();
    for (wal::Segment one = first; one.number <= last.number; one = one.next()) {
        if (!names.contains(one.name(size))) missing.push_back(one.name(size));
    }
    const std::string checked = "\tWAL sequence check for server " + server.name + ": ";
    context.out.line("Server " + server.name + ":");
    context.out.line(checked + (missing.empty() ? std::string("all segments are present")
                                                : fmt::format("{} missing segment(s):", missing.size())));
    for (const auto& name : missing) context.out.line("\t\t" + name.get<std::string>());
    context.out.data()[server.name] = {{"begin_wal", begin}, {"end_wal", end}, {"missing_wals", missing}};
    if (missing.empty()) return;
    context.out.error(fmt::format("WAL sequence check failed for server '{}': {} missing segment(s) in range {}..{}",
                                  server.name, missing.size(), begin, end));
}

}  // namespace

Command check_archived_wal_range_command() {
    return {"check-archived-wal-range",
            {},
            "make sure that no WAL segment between two is missing",
            "SERVER BEGIN_WAL END_WAL",
            3,
            3,
            {},
            run};
}

}  // namespace coffer::cofferctl
