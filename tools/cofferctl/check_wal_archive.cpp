// cofferctl check-wal-archive: is the archive empty, so that a new cluster may be pointed at it? By the index and by
// what lies there.
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/wal/segment_name.h"
#include "lib/wal/xlogdb.h"
#include "lib/wal/xlogdb_tally.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

bool is_wal(const std::string& name) {
    const auto kind = wal::kind_of(name);
    return kind == wal::FileKind::segment || kind == wal::FileKind::partial || kind == wal::FileKind::history ||
           kind == wal::FileKind::backup_label;
}

// Names, once each, of this timeline or a newer one.
std::set<std::string> found(const config::Server& server, TimelineId from) {
    std::set<std::string> names;
    const auto take = [&](const std::string& name) {
        if (is_wal(name) && wal::timeline_of(name) >= from) names.insert(name);
    };
    wal::scan_xlogdb(wal::xlogdb_path(server), [&](const wal::XlogEntry& entry) { take(std::string(entry.name)); });
    std::error_code absent;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(server.wals_directory, absent))
        take(entry.path().filename().string());
    return names;
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const auto timeline = arguments.number("timeline", 0xFFFFFFFF);
    if (timeline && *timeline == 0) {
        throw Error(ErrorCode::invalid_argument, "'0' is no timeline", "--timeline", "timelines begin with 1");
    }
    const std::size_t count = found(server, static_cast<TimelineId>(timeline.value_or(0))).size();
    context.out.line("Server " + server.name + ":");
    if (count == 0) {
        const std::string passed = "WAL archive check for server " + server.name + " passed";
        context.out.line(" - " + passed);
        context.out.data()[server.name] = passed;
        return;
    }
    context.out.data()[server.name] = nlohmann::json::object();
    context.out.error(fmt::format("WAL archive check failed for server {}: {}", server.name,
                                  timeline
                                      ? fmt::format("Found {} file{} in WAL archive equal to or newer than timeline {}",
                                                    count, count == 1 ? "" : "s", *timeline)
                                      : "Expected empty archive"));
}

}  // namespace

Command check_wal_archive_command() {
    return {"check-wal-archive",
            {},
            "make sure that the WAL archive is empty",
            "SERVER",
            1,
            1,
            {{"--timeline", OptionSpec::Kind::text, "of this timeline and newer ones only"}},
            run};
}

}  // namespace coffer::cofferctl
