// cofferctl why: what the retention policy decides of one backup, and why.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

std::string wal_kept(const retention::Judgement& judgement, const catalogue::BackupInfo& backup) {
    switch (judgement.wal) {
        case retention::WalKept::none:
            break;
        case retention::WalKept::own:
            return "from " + backup.begin_wal + " to " + backup.end_wal + " only";
        case retention::WalKept::all:
            return backup.begin_wal.empty() ? "all, until it is known from where on it needs WAL"
                                            : "all from " + backup.begin_wal + " on";
    }
    return "none";
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const catalogue::BackupInfo backup = catalogue::Catalogue(server).get(arguments.positionals[1]);
    const CatalogueView view(server);
    const retention::Judgement& judgement = view.judgement_of(backup);
    const std::string wal = wal_kept(judgement, backup);
    Output& out = context.out;
    out.line(fmt::format("Backup {} of server {}: {}", backup.backup_id, server.name, judgement.status()));
    out.line(fmt::format("\t{}: {}", judgement.goes() ? "Is deleted, because" : "Stays, because", judgement.why));
    out.line("\tWAL that is kept for it: " + wal);
    if (!view.decision().opens_wal.empty())
        out.line("\tAny moment can be restored since the end of backup: " + view.decision().opens_wal);
    out.data()[server.name] = {{"backup_id", backup.backup_id},
                               {"status", judgement.status()},
                               {"deleted", judgement.goes()},
                               {"standalone", judgement.standalone},
                               {"why", judgement.why},
                               {"wal_kept", wal},
                               {"any_moment_since", view.decision().opens_wal}};
}

}  // namespace

Command why_command() {
    return {"why", {}, "say why a backup stays or goes", "SERVER BACKUP", 2, 2, {}, run};
}

}  // namespace coffer::cofferctl
