// cofferctl expire: applies the retention policy now, or says what it would delete. The archiver does the same by
// itself; both ask lib/retention.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

using nlohmann::json;

struct ReleasedWal {
    std::uint64_t files = 0;
    std::string first, last;
};

ReleasedWal released_wal(const config::Server& server, const retention::Decision& decision) {
    ReleasedWal wal;
    if (!decision.release) return wal;
    wal::scan_xlogdb(wal::xlogdb_path(server), [&](const wal::XlogEntry& entry) {
        if (!decision.release->releases(entry.name)) return;
        ++wal.files;
        if (wal.first.empty() || entry.name < wal.first) wal.first = entry.name;
        if (entry.name > wal.last) wal.last = entry.name;
    });
    return wal;
}

void dry_run(Output& out, const config::Server& server) {
    const CatalogueView view(server);
    const retention::Decision& decision = view.decision();
    const ReleasedWal wal = released_wal(server, decision);
    json goes = json::array();
    for (const retention::Judgement& each : decision.backups) {
        if (each.goes()) goes.push_back({{"backup_id", each.backup_id}, {"status", each.status()}, {"why", each.why}});
    }
    out.line(
        fmt::format("Server {}: {} backups and {} WAL files would be deleted", server.name, goes.size(), wal.files));
    for (const json& each : goes) {
        out.line(fmt::format("\t{}: {}", each["backup_id"].get<std::string>(), each["why"].get<std::string>()));
    }
    if (wal.files > 0)
        out.line(fmt::format("\tWAL from {} to {}, where no remaining backup needs it", wal.first, wal.last));
    out.data()[server.name] = {{"dry_run", true},
                               {"backups", std::move(goes)},
                               {"wal_files", wal.files},
                               {"first_wal", wal.first},
                               {"last_wal", wal.last}};
}

void expire(Output& out, const config::Server& server) {
    bus::Bus bus = open_bus();
    bus::Message request = bus.new_call(server_target("Archiver", server.name), "ApplyRetention");
    request.append(std::uint64_t{0});
    bus::Message reply = bus.call(request, std::chrono::hours(1));
    const auto backups = reply.read<std::vector<std::string>>();
    const auto files = reply.read<std::uint64_t>();
    out.line(fmt::format("Server {}: {} backups and {} WAL files were deleted", server.name, backups.size(), files));
    for (const std::string& backup : backups) out.line("\t" + backup);
    out.data()[server.name] = {{"dry_run", false}, {"backups", backups}, {"wal_files", files}};
}

void run(Context& context, const Arguments& arguments) {
    const bool dry = arguments.flag("dry_run");
    for_each_server(
        context, arguments.positionals, dry ? Only::readable : Only::active,
        [&](const config::Server& server) { dry ? dry_run(context.out, server) : expire(context.out, server); });
}

}  // namespace

Command expire_command() {
    return {"expire",
            {},
            "apply the retention policy now",
            "SERVER...",
            1,
            0,
            {{"--dry-run", OptionSpec::Kind::flag, "only say what would be deleted, and why"}},
            run};
}

}  // namespace coffer::cofferctl
