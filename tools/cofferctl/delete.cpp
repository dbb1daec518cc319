// cofferctl delete: asks the archiver, which owns the catalogue, to remove a backup and the WAL only it needed.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const std::string& wanted = arguments.positionals[1];
    const auto backup = catalogue::Catalogue(server).find(wanted);
    if (!backup) {
        throw Error(ErrorCode::no_such_backup, "Unknown backup '" + wanted + "' for server '" + server.name + "'", {},
                    "cofferctl list-backups " + server.name + " shows what exists");
    }
    context.out.info("Deleting backup " + backup->backup_id + " for server " + server.name);
    bus::Bus bus = open_bus();
    bus::Message request = bus.new_call(server_target("Archiver", server.name), "DeleteBackup");
    request.append(backup->backup_id, std::uint64_t{0});
    // A large tree takes its time to go.
    const auto removed = bus.call(request, std::chrono::hours(1)).read<std::uint64_t>();
    context.out.info(fmt::format("Deleted backup {} and {} WAL files", backup->backup_id, removed));
}

}  // namespace

Command delete_command() {
    return {"delete", {}, "delete a backup", "SERVER BACKUP", 2, 2, {}, run};
}

}  // namespace coffer::cofferctl
