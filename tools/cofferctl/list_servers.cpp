// cofferctl list-servers: name, description and what keeps a server from being protected.
#include <nlohmann/json.hpp>

#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

void run(Context& context, const Arguments& arguments) {
    Output& out = context.out;
    std::vector<const config::Server*> servers;
    for (const auto& [name, server] : context.config.servers) {
        std::string text = server.description;
        if (!server.active) text += " (inactive)";
        if (server.disabled) text += " (WARNING: disabled)";
        const bool name_only = arguments.flag("minimal") || text.empty();
        out.line(name_only ? name : name + (server.description.empty() ? " -" : " - ") + text);
        out.data()[name] = {{"description", text}};
        servers.push_back(&server);
    }
    if (arguments.flag("minimal")) return;
    if (servers.empty() && !out.json_wanted()) warn_of_no_server(context);
    tell_problems(context, servers, [&](const config::Problem& problem, bool of_server) {
        return !out.json_wanted() || problem.fatal || !of_server;  // in JSON as ever: not what is merely ignored
    });
}

}  // namespace

Command list_servers_command() {
    return {"list-servers",
            {"list-server"},
            "list the configured servers",
            "",
            0,
            0,
            {{"--minimal", OptionSpec::Kind::flag, "names only"}},
            run};
}

}  // namespace coffer::cofferctl
