#include "streamer/followed_timeline.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

#include "lib/base/files.h"
#include "lib/wal/segment_name.h"

namespace coffer::streamer {
namespace {

constexpr std::uint64_t most_bytes = 4096;

Path file_of(const config::Server& server) {
    return server.meta_directory() / "coffer-timeline";
}

std::optional<TimelineId> noted(const config::Server& server) {
    const std::string text = read_file(file_of(server), most_bytes).value_or("");
    TimelineId timeline = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), timeline);
    if (error != std::errc{} || timeline == 0) return std::nullopt;
    return timeline;
}

std::optional<TimelineId> timeline_of(const std::string& name) {
    TimelineId timeline = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + 8, timeline, 16);
    if (error != std::errc{} || end != name.data() + 8) return std::nullopt;
    return timeline;
}

bool holds_segments(const Path& folder) {
    std::error_code absent;
    for (const auto& file : std::filesystem::directory_iterator(folder, absent)) {
        if (wal::kind_of(file.path().filename().string()) == wal::FileKind::segment) return true;
    }
    return false;
}

}  // namespace

TimelineId newest_followed(const config::Server& server) {
    const TimelineId most = noted(server).value_or(std::numeric_limits<TimelineId>::max());
    TimelineId newest = 0;
    std::error_code absent;
    const auto is_newer = [&](const std::string& name) {
        const auto timeline = timeline_of(name);
        return timeline && *timeline <= most && *timeline > newest;
    };
    for (const auto& entry : std::filesystem::directory_iterator(server.streaming_wals_directory, absent)) {
        const std::string name = entry.path().filename().string();
        const auto kind = wal::kind_of(name);
        const bool counts = kind == wal::FileKind::segment || kind == wal::FileKind::partial;
        if (counts && is_newer(name)) newest = *timeline_of(name);
    }
    for (const auto& entry : std::filesystem::directory_iterator(server.wals_directory, absent)) {
        const std::string name = entry.path().filename().string();
        if (name.size() == 16 && is_newer(name) && holds_segments(entry.path())) newest = *timeline_of(name);
    }
    return newest;
}

void note_followed(const config::Server& server, TimelineId timeline) {
    if (noted(server).value_or(0) >= timeline) return;
    write_file_durably(file_of(server), fmt::format("{}\n", timeline));
    kill_point("streamer.timeline.noted");
}

}  // namespace coffer::streamer
