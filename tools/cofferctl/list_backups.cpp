// cofferctl list-backups: one line for each backup, newest first.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;
using nlohmann::json;

bool has_figures(const BackupInfo& backup) {
    return backup.status == BackupStatus::done || backup.status == BackupStatus::waiting_for_wals;
}

std::string line_of(const std::string& server, const BackupInfo& backup, const WalFigures& wal,
                    const std::string& retention, bool damaged) {
    std::string line = server + " " + backup.backup_id;
    if (!backup.backup_name.empty()) line += " '" + backup.backup_name + "'";
    if (!has_figures(backup) || !backup.end_time) return line + " - " + std::string(name_of(backup.status));
    line += fmt::format(" - {} - Size: {} - WAL Size: {}", ctime_text(*backup.end_time),
                        pretty_size(static_cast<double>(backup.size + wal.within_bytes)),
                        pretty_size(static_cast<double>(wal.after_bytes)));
    std::string spaces;
    for (const auto& space : backup.tablespaces)
        spaces += (spaces.empty() ? "" : ", ") + space.name + ":" + space.location;
    if (!spaces.empty()) line += " (tablespaces: " + spaces + ")";
    if (backup.status == BackupStatus::waiting_for_wals) line += " - WAITING_FOR_WALS";
    if (damaged) line += " - DAMAGED";
    return retention == "-" || retention == "VALID" ? line : line + " - " + retention;
}

json json_of(const BackupInfo& backup, const WalFigures& wal, const std::string& retention) {
    json shown{{"backup_id", backup.backup_id}, {"backup_type", type_of(backup)}, {"status", name_of(backup.status)}};
    if (!backup.backup_name.empty()) shown["backup_name"] = backup.backup_name;
    if (!has_figures(backup) || !backup.end_time) return shown;
    const std::uint64_t size = backup.size + wal.within_bytes;
    shown.update({{"end_time", ctime_text(*backup.end_time)},
                  {"end_time_timestamp", std::to_string(seconds_of(*backup.end_time))},
                  {"retention_status", retention == "VALID" ? "-" : retention},
                  {"size", pretty_size(static_cast<double>(size))},
                  {"size_bytes", size},
                  {"wal_size", pretty_size(static_cast<double>(wal.after_bytes))},
                  {"wal_size_bytes", wal.after_bytes},
                  {"tablespaces", json::array()}});
    for (const auto& space : backup.tablespaces) {
        shown["tablespaces"].push_back({{"name", space.name}, {"location", space.location}});
    }
    return shown;
}

void run(Context& context, const Arguments& arguments) {
    const bool minimal = arguments.flag("minimal");
    for_each_server(context, arguments.positionals, Only::readable, [&](const config::Server& server) {
        const CatalogueView view(server);
        json list = json::array();
        const auto& backups = view.backups();
        for (auto backup = backups.rbegin(); backup != backups.rend(); ++backup) {
            if (minimal) {
                context.out.line(backup->backup_id);
                list.push_back(backup->backup_id);
                continue;
            }
            const WalFigures wal = view.wal_of(*backup);
            const std::string retention = view.retention_of(*backup);
            const bool damaged = view.is_damaged(*backup);
            context.out.line(line_of(server.name, *backup, wal, retention, damaged));
            if (!context.out.json_wanted()) continue;
            list.push_back(json_of(*backup, wal, retention));
            if (damaged) list.back()["damaged"] = true;
        }
        context.out.data()[server.name] = std::move(list);
    });
}

}  // namespace

Command list_backups_command() {
    return {"list-backups",
            {"list-backup"},
            "list the backups of servers",
            "SERVER...",
            1,
            0,
            {{"--minimal", OptionSpec::Kind::flag, "IDs only"}},
            run};
}

}  // namespace coffer::cofferctl
