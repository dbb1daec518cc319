// cofferctl keep: exempts a backup from the retention policy, or puts it back under it.
#include <nlohmann/json.hpp>

#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo backup = catalogue.get(arguments.positionals[1]);
    const auto target = arguments.text("target");
    const bool release = arguments.flag("release");
    if ((target ? 1 : 0) + (release ? 1 : 0) + (arguments.flag("status") ? 1 : 0) != 1) {
        throw Error(ErrorCode::invalid_argument, "one of --target, --release and --status is needed", {},
                    "cofferctl keep --target full " + server.name + " " + backup.backup_id);
    }
    if (arguments.flag("status")) {
        const std::string kept(name_of(catalogue.keep_of(backup.backup_id)));
        context.out.line("Server " + server.name + ":");
        context.out.line("\tKeep: " + kept);
        context.out.data()[server.name] = {{"keep_status", {{"description", "Keep"}, {"message", kept}}}};
        return;
    }
    if (target && *target != "full" && *target != "standalone") {
        throw Error(ErrorCode::invalid_argument, "'" + *target + "' is no target", "--target",
                    "use full (with all WAL behind it) or standalone (for itself alone)");
    }
    bus::Bus bus = open_bus();
    bus::Message request = bus.new_call(server_target("Archiver", server.name), "KeepBackup");
    request.append(backup.backup_id, target.value_or("nokeep"), std::uint64_t{0});
    (void)bus.call(request, std::chrono::minutes(1));
}

}  // namespace

Command keep_command() {
    return {"keep",
            {},
            "exempt a backup from the retention policy",
            "SERVER BACKUP",
            2,
            2,
            {{"--target", OptionSpec::Kind::text, "full: with all WAL behind it; standalone: for itself alone"},
             {"-r,--release", OptionSpec::Kind::flag, "the retention policy applies again"},
             {"-s,--status", OptionSpec::Kind::flag, "print how it is kept"}},
            run};
}

}  // namespace coffer::cofferctl
