#include "services/job/restore_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "lib/base/pretty_size.h"
#include "services/job/start_advice.h"

namespace coffer::job {
namespace {

using restore::Plan;
using restore::TargetKind;

std::string size_text(std::uint64_t bytes) {
    return pretty_size(static_cast<double>(bytes));
}

std::string wal_text(const Plan& plan) {
    if (plan.chain.pieces.empty()) return "none";
    const auto name = [&](const restore::WalPiece& piece) { return piece.segment.name(plan.chain.size); };
    std::string text = fmt::format("{} segments, {} to {}", plan.chain.pieces.size(), name(plan.chain.pieces.front()),
                                   name(plan.chain.pieces.back()));
    if (plan.uses_unfinished_segment) text += " (the unfinished one among them)";
    return text + (plan.get_wal ? ", fetched during recovery" : ", placed in pg_wal");
}

std::string end_text(const Plan& plan) {
    std::string text = plan.target.describe();
    if (plan.end.end.valid()) text += ", at " + plan.end.end.to_string();
    if (plan.end.last_commit) {
        text += fmt::format("; last transaction: {} of {}", plan.end.last_xid.value_or(0),
                            restore::format_utc(*plan.end.last_commit));
    }
    return text;
}

nlohmann::json plan_object(const Plan& plan) {
    nlohmann::json object{{"server", plan.server},
                          {"backup_id", plan.backup.backup_id},
                          {"destination", plan.destination.string()},
                          {"target", plan.target.describe()},
                          {"timeline", plan.timeline},
                          {"files", plan.files()},
                          {"bytes", plan.bytes()},
                          {"reflink", plan.reflink},
                          {"verified", plan.verify},
                          {"shared_files_read", plan.reads_shared},
                          {"wal_bytes", plan.wal_bytes()},
                          {"get_wal", plan.get_wal},
                          {"unfinished_segment", plan.uses_unfinished_segment},
                          {"warnings", plan.warnings}};
    if (plan.delta) {
        object["existing"] = {{"files_kept", plan.existing.kept_files},
                              {"files_surplus", plan.existing.surplus_files},
                              {"bytes_surplus", plan.existing.surplus_bytes}};
    }
    if (!plan.left_databases.empty()) object["databases_left_out"] = nlohmann::json::array();
    for (const restore::LeftDatabase& left : plan.left_databases) {
        object["databases_left_out"].push_back({{"name", left.database.name},
                                                {"oid", left.database.oid},
                                                {"bytes", left.bytes},
                                                {"dropped", left.dropped},
                                                {"drop", restore::drop_command(left.database)}});
    }
    if (plan.end.end.valid()) object["end_lsn"] = plan.end.end.to_string();
    if (plan.end.last_commit) object["last_transaction_time"] = restore::format_utc(*plan.end.last_commit);
    if (plan.end.last_xid) object["last_transaction_xid"] = *plan.end.last_xid;
    object["wal"] = nlohmann::json::array();
    for (const restore::WalPiece& piece : plan.chain.pieces) {
        object["wal"].push_back({{"name", piece.segment.name(plan.chain.size)},
                                 {"place", wal::name_of(piece.file.place)},
                                 {"path", piece.file.path.string()}});
    }
    object["tablespaces"] = nlohmann::json::array();
    for (const restore::TablespaceTarget& tablespace : plan.tablespaces) {
        object["tablespaces"].push_back(
            {{"name", tablespace.name}, {"oid", tablespace.oid}, {"path", tablespace.target.string()}});
    }
    return object;
}

// What the server will do when it is started, and what is left to people; indented as below in summary_text.
std::string after_start(const Plan& plan) {
    if (plan.target.standby_mode) return "It stays a standby: set primary_conninfo for it to follow a primary.";
    const restore::TargetAction action = plan.target.action.value_or(restore::TargetAction::pause);
    if (plan.target.kind == TargetKind::end || action == restore::TargetAction::promote) {
        return "It recovers, then opens for writing on a new timeline.";
    }
    if (action == restore::TargetAction::shutdown) return "It recovers to the target and stops.";
    return "It recovers to the target and waits there, open for reading. Look at the data; then either\n"
           "       SELECT pg_wal_replay_resume();   to open it for writing\n"
           "     or stop it and restore again with another target.";
}

// What was done to the directory that was there; empty when there was none.
std::string delta_text(const Plan& plan, const restore::Executed& executed) {
    if (!plan.delta) return {};
    std::string text =
        fmt::format("Of {} that were read {} were there already and {} were written; {} ({} files) were removed",
                    size_text(executed.read), size_text(executed.equal), size_text(executed.written),
                    size_text(executed.removed), executed.removed_files);
    if (executed.shared > 0) text += fmt::format("; {} are shared with the backup", size_text(executed.shared));
    return text + ".\n";
}

std::string on_one_line(std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
    return name;
}

// What is left to do where databases were left out.
std::string drop_text(const Plan& plan) {
    if (plan.left_databases.empty()) return {};
    std::string text =
        "  4. These databases were left out: nobody can use them. Remove them when it is open for writing,\n"
        "     in psql:\n";
    for (const restore::LeftDatabase& left : plan.left_databases) {
        text += fmt::format("       -- {}{}\n       {}\n", on_one_line(left.database.name),
                            left.dropped ? ", which was dropped after the backup: should find nothing" : "",
                            restore::drop_command(left.database));
    }
    return text;
}

nlohmann::json report_object(const Plan& plan) {
    nlohmann::json object{{plan.server, plan_object(plan)}};
    if (!plan.warnings.empty()) object["_WARNING"] = plan.warnings;
    return object;
}

std::string dump(const nlohmann::json& object) {
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string plan_text(const Plan& plan) {
    std::string text = fmt::format(
        "Restore of server {}\n"
        "  backup       {} ({}, {} files{})\n"
        "  to           {}\n",
        plan.server, plan.backup.backup_id, size_text(plan.bytes()), plan.files(),
        plan.reflink ? ", shared with the backup by reflinks" : "", plan.destination.string());
    for (const restore::LeftDatabase& left : plan.left_databases) {
        text += fmt::format("  left out     database {} ({})\n", left.database.name, size_text(left.bytes));
    }
    if (plan.delta) {
        text +=
            fmt::format("  is there     {} files are compared; {} files ({}) are removed\n", plan.existing.kept_files,
                        plan.existing.surplus_files, size_text(plan.existing.surplus_bytes));
    }
    for (const restore::TablespaceTarget& tablespace : plan.tablespaces) {
        text += fmt::format("  tablespace   {} -> {}\n", tablespace.name, tablespace.target.string());
    }
    text += fmt::format(
        "  recovery     {}\n"
        "  timeline     {}\n"
        "  WAL          {}\n",
        end_text(plan), plan.timeline, wal_text(plan));
    if (!plan.reads_shared) text += "  not read     shared files: btrfs finds damage by itself (--verify reads them)\n";
    for (const std::string& warning : plan.warnings) text += "WARNING: " + warning + "\n";
    return text;
}

std::string summary_text(const Plan& plan, const restore::Executed& executed, std::chrono::duration<double> took) {
    return fmt::format(
        "Restored in {:.1f} s: {} files{}, {}, and {} of WAL.\n"
        "{}"
        "\n"
        "Next:\n"
        "  1. {}\n"
        "  2. Start it, as the user that owns the files:\n"
        "       {}\n"
        "     {}\n"
        "  3. archive_command is 'false' in postgresql.auto.conf, so that the restored server cannot touch the\n"
        "     archive of the old one. When it takes over: remove the lines that coffer restore wrote there.\n"
        "{}",
        took.count(), plan.files(), plan.verify && plan.reads_shared ? " (verified)" : "", size_text(plan.bytes()),
        size_text(plan.wal_bytes()), delta_text(plan, executed), settings_to_look_through(plan), start_command(plan),
        after_start(plan), drop_text(plan));
}

std::string plan_json(const Plan& plan) {
    return dump(report_object(plan));
}

std::string summary_json(const Plan& plan, const restore::Executed& executed, WallTime began,
                         std::chrono::duration<double> took) {
    nlohmann::json object = report_object(plan);
    if (plan.delta) {
        object[plan.server]["delta"] = {{"read", executed.read},       {"equal", executed.equal},
                                        {"written", executed.written}, {"shared", executed.shared},
                                        {"removed", executed.removed}, {"files_removed", executed.removed_files}};
    }
    object[plan.server]["seconds"] = took.count();
    object["_INFO"].push_back(fmt::format("Restored backup {} of server {} to {}", plan.backup.backup_id, plan.server,
                                          plan.destination.string()));
    object["recovery_start_time"] = catalogue::format_time(began);
    object["recovery_start_time_timestamp"] =
        std::to_string(std::chrono::floor<std::chrono::seconds>(began).time_since_epoch().count());
    object["recovery_elapsed_time"] = fmt::format("{:.1f} seconds", took.count());
    object["recovery_elapsed_time_seconds"] = took.count();
    object["warnings"] = plan.warnings;
    object["warnings_count"] = plan.warnings.size();
    // No line of a configuration file is changed (postgresql.auto.conf gets new ones), and no file is missing.
    object["changes"] = object["missing_files"] = nlohmann::json::array();
    object["changes_count"] = 0;
    return dump(object);
}

std::string error_json(std::string_view text) {
    nlohmann::json object;
    object["_ERROR"].push_back(std::string(text));
    return dump(object);
}

}  // namespace coffer::job
