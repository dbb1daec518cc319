// cofferctl show-servers: the configuration as it is understood, and what the server says of itself. Passwords are
// masked.
#include <nlohmann/json.hpp>

#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/server_facts.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

void run(Context& context, const Arguments& arguments) {
    for_each_server(context, arguments.positionals, Only::any, [&](const config::Server& server) {
        std::map<std::string, std::string> values = server.effective;
        values["name"] = server.name;
        values["active"] = server.active ? "True" : "False";
        values["disabled"] = server.disabled ? "True" : "False";
        values["config_file_of_server"] = server.defined_in.string();
        values["passive_node"] = "False";
        if (server.active && !server.disabled) {
            const ServerFacts facts = ask_server(server, server.check_timeout);
            values.insert(facts.settings.begin(), facts.settings.end());
            values["connection_error"] = facts.reachable() ? "None" : facts.error;
            if (facts.reachable()) {
                values["server_txt_version"] = version_text(facts.version);
                values["postgres_systemid"] = std::to_string(facts.system_identifier);
                values["current_lsn"] = facts.current_lsn;
                values["current_xlog"] = facts.current_wal;
                values["current_size"] = std::to_string(facts.data_size);
                values["is_in_recovery"] = facts.in_recovery ? "True" : "False";
            }
        }
        context.out.line("Server " + server.name + ":");
        for (const auto& [key, value] : values) context.out.line("\t" + key + ": " + (value.empty() ? "None" : value));
        context.out.data()[server.name] = values;
        for (const config::Problem& problem : server.problems) context.out.warning(problem.to_string());
    });
}

}  // namespace

Command show_servers_command() {
    return {"show-servers", {"show-server"}, "show the configuration and state of servers", "SERVER...", 1, 0, {}, run};
}

}  // namespace coffer::cofferctl
