// cofferctl diagnose: one JSON object with everything that helps to find out what is wrong. Passwords are masked.
#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/server_facts.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using nlohmann::json;

json problems_of(const std::vector<config::Problem>& problems) {
    json list = json::array();
    for (const config::Problem& problem : problems) {
        list.push_back({{"file", problem.file.string()},
                        {"line", problem.line},
                        {"text", problem.text},
                        {"remedy", problem.remedy},
                        {"fatal", problem.fatal}});
    }
    return list;
}

json system_info() {
    utsname names{};
    ::uname(&names);
    return {{"coffer_ver", COFFER_VERSION},
            {"kernel_ver", std::string(names.sysname) + " " + names.release + " " + names.machine},
            {"timestamp", iso_text(Clock().now())}};
}

json backups_of(const config::Server& server) {
    json backups = json::object();
    for (const auto& backup : catalogue::Catalogue(server).backups()) {
        json shown{{"backup_id", backup.backup_id},
                   {"status", name_of(backup.status)},
                   {"mode", backup.mode},
                   {"timeline", backup.timeline},
                   {"begin_wal", backup.begin_wal},
                   {"end_wal", backup.end_wal},
                   {"begin_xlog", backup.begin_xlog.to_string()},
                   {"end_xlog", backup.end_xlog.to_string()},
                   {"size", backup.size},
                   {"deduplicated_size", backup.deduplicated_size},
                   {"systemid", std::to_string(backup.systemid)},
                   {"version", backup.version},
                   {"pgdata", backup.pgdata},
                   {"error", backup.error},
                   {"backup_name", backup.backup_name}};
        if (backup.begin_time) shown["begin_time"] = iso_text(*backup.begin_time);
        if (backup.end_time) shown["end_time"] = iso_text(*backup.end_time);
        backups[backup.backup_id] = std::move(shown);
    }
    return backups;
}

json receiver_of(LiveState& live, const std::string& server) {
    const auto receiver = live.receiver(server);
    if (!receiver.value) return {{"error", receiver.reason}};
    return {{"state", receiver.value->state},
            {"durable_lsn", receiver.value->durable_lsn},
            {"server_lsn", receiver.value->server_lsn},
            {"exposure_usec", receiver.value->exposure_usec},
            {"last_error", receiver.value->error}};
}

json server_json(const config::Server& server, LiveState& live) {
    json shown{{"config", server.effective},
               {"problems", problems_of(server.problems)},
               {"config_file", server.defined_in.string()},
               {"active", server.active},
               {"disabled", server.disabled}};
    if (server.disabled) return shown;
    try {
        shown["backups"] = backups_of(server);
        const auto lines = wal::read_xlogdb(wal::xlogdb_path(server)).lines;
        shown["wals"] = {{"files", lines.size()}, {"last_archived_wal", lines.empty() ? "" : lines.back().name}};
    } catch (const Error& error) {
        shown["catalogue_error"] = error.full_text();
    }
    shown["receiver"] = receiver_of(live, server.name);
    if (!server.active) return shown;
    const ServerFacts facts = ask_server(server, std::min(server.check_timeout, std::chrono::seconds(10)));
    shown["status"] = {{"connection_error", facts.error},  {"streaming_error", facts.streaming_error},
                       {"settings", facts.settings},       {"server_version", facts.version},
                       {"current_lsn", facts.current_lsn}, {"systemid", std::to_string(facts.system_identifier)}};
    return shown;
}

void run(Context& context, const Arguments& arguments) {
    json all{{"global",
              {{"config",
                {{"main_file", context.config.main_file.string()},
                 {"coffer_home", context.config.coffer_home.string()},
                 {"configuration_files_directory", context.config.configuration_files_directory.string()},
                 {"log_level", context.config.log_level}}},
               {"problems", problems_of(context.config.problems)},
               {"system_info", system_info()}}},
             {"servers", json::object()},
             {"models", json::object()}};
    LiveState live;
    for (const auto& [name, server] : context.config.servers) {
        if (!arguments.positionals.empty() && arguments.positionals[0] != "all" && arguments.positionals[0] != name)
            continue;
        all["servers"][name] = server_json(server, live);
    }
    context.out.line(all.dump(4, ' ', false, json::error_handler_t::replace));
    context.out.data().update(all);
}

}  // namespace

Command diagnose_command() {
    return {"diagnose", {}, "tell everything that helps to find a fault, as JSON", "[SERVER]",
            0,          1,  {{"--show-config-source", OptionSpec::Kind::ignored}}, run};
}

}  // namespace coffer::cofferctl
