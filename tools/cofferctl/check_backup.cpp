// cofferctl check-backup: has all WAL that a backup needs arrived? Asks the archiver, which settles the state of one
// that waits for it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/catalogue/catalogue.h"
#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

// What keeps it from being good; empty when nothing does.
std::string fault_of(const std::string& status, const std::string& missing) {
    // Nothing is missing where somebody else has just found that, and is about to end it.
    if (status == "WAITING_FOR_WALS" && missing.empty()) return {};
    if (status == "WAITING_FOR_WALS") return fmt::format("it waits for WAL, {} is not here yet", missing);
    if (!missing.empty()) return fmt::format("{} is missing, and the backup needs it", missing);
    return status == "DONE" ? "" : "it cannot be restored";
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const catalogue::Catalogue catalogue(server);
    const std::string backup = catalogue.get(arguments.positionals[1]).backup_id;
    bus::Bus bus = open_bus();
    bus::Message request = bus.new_call(server_target("Archiver", server.name), "CheckBackup");
    request.append(backup, bus::Options{});
    bus::Message reply = bus.call(request, std::chrono::minutes(10));
    const auto status = reply.read<std::string>();
    const auto missing = reply.read<std::string>();
    const std::string fault = fault_of(status, missing);
    const std::string text = fmt::format("backup {} of server {} is {}", backup, server.name, status);
    context.out.data()[server.name] = {{"backup_id", backup}, {"status", status}, {"missing_wal", missing}};
    if (fault.empty()) return context.out.line(text);
    const std::string reason = catalogue.get(backup).error;
    context.out.error(text + ": " + (reason.empty() ? fault : reason));
}

}  // namespace

Command check_backup_command() {
    return {"check-backup", {}, "see whether all WAL that a backup needs is here", "SERVER BACKUP", 2, 2, {}, run};
}

}  // namespace coffer::cofferctl
