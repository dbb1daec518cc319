// cofferctl list-servers: name, description and what keeps a server from being protected.
#include <nlohmann/json.hpp>

#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

void run(Context& context, const Arguments& arguments) {
    Output& out = context.out;
    for (const auto& [name, server] : context.config.servers) {
        std::string text = server.description;
        if (!server.active) text += " (inactive)";
        if (server.disabled) text += " (WARNING: disabled)";
        out.line(arguments.flag("minimal") ? name : text.empty() ? name : name + " - " + text);
        out.data()[name] = {{"description", text}};
        for (const config::Problem& problem : server.problems) {
            if (problem.fatal && !arguments.flag("minimal"))
                out.warning(problem.to_string() + "\nHINT: " + problem.remedy);
        }
    }
    if (arguments.flag("minimal")) return;
    for (const config::Problem& problem : context.config.problems) {
        out.warning(problem.to_string() + (problem.remedy.empty() ? "" : "\nHINT: " + problem.remedy));
    }
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
