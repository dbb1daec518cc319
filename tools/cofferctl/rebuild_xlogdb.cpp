// cofferctl rebuild-xlogdb: asks the archiver, which owns the index of the WAL archive, to make it anew.
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

void rebuild(Output& out, const config::Server& server) {
    out.info("Rebuilding the WAL index of server " + server.name);
    bus::Bus bus = open_bus();
    bus::Message request = bus.new_call(server_target("Archiver", server.name), "RebuildIndex");
    request.append(bus::Options{});
    bus::Message reply = bus.call(request, std::chrono::hours(1));
    const auto files = reply.read<std::uint64_t>();
    const auto left_out = reply.read<std::uint64_t>();
    nlohmann::json named = nlohmann::json::array();
    for (const auto& [path, why] : reply.read<std::vector<std::tuple<std::string, std::string>>>()) {
        out.warning(fmt::format("{} {}, and is not indexed", (server.wals_directory / path).string(), why));
        named.push_back({{"path", path}, {"why", why}});
    }
    if (left_out > named.size()) out.warning(fmt::format("{} more files are not indexed", left_out - named.size()));
    out.line(fmt::format("The WAL index of server {} has {} files", server.name, files));
    out.data()[server.name] = {{"files", files}, {"left_out", left_out}, {"first_left_out", std::move(named)}};
}

void run(Context& context, const Arguments& arguments) {
    for_each_server(context, arguments.positionals, Only::readable,
                    [&](const config::Server& server) { rebuild(context.out, server); });
}

}  // namespace

Command rebuild_xlogdb_command() {
    return {"rebuild-xlogdb", {}, "make the index of the WAL archive anew from its files", "SERVER...", 1, 0, {}, run};
}

}  // namespace coffer::cofferctl
