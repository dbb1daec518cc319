// cofferctl status: how a server is, in a few lines.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/config/retention_policy.h"
#include "lib/scrub/standing.h"
#include "lib/wal/gaps.h"
#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/directories.h"
#include "tools/cofferctl/image_way.h"
#include "tools/cofferctl/server_facts.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using nlohmann::json;

// Lines "description: message", each with a key in JSON.
class StatusLines {
  public:
    StatusLines(Output& out, const std::string& server) : out_(out), lines_(out.data()[server]) {
        lines_ = json::object();
        out.line("Server " + server + ":");
    }
    void add(const char* key, const char* description, const std::string& message) {
        out_.line(std::string("\t") + description + ": " + in_one_line(message));
        lines_[key] = {{"description", description}, {"message", message}};
    }

  private:
    Output& out_;
    json& lines_;
};

std::string truth(bool value) {
    return value ? "True" : "False";
}

void add_server(StatusLines& lines, const ServerFacts& facts) {
    if (!facts.reachable())
        return lines.add("pg_version", "PostgreSQL version", "FAILED trying to get PostgreSQL version: " + facts.error);
    lines.add("pg_version", "PostgreSQL version", version_text(facts.version));
    lines.add("is_in_recovery", "Cluster state", facts.in_recovery ? "in archive recovery" : "in production");
    if (facts.data_size > 0)
        lines.add("current_size", "Current data size", pretty_size(static_cast<double>(facts.data_size)));
    lines.add("data_directory", "PostgreSQL Data directory", facts.setting("data_directory"));
    if (!facts.current_wal.empty()) lines.add("current_xlog", "Current WAL segment", facts.current_wal);
}

void add_archive_command(StatusLines& lines, const ServerFacts& facts) {
    if (!facts.reachable()) return;
    const std::string library = facts.setting("archive_library");
    lines.add("archive_command", "PostgreSQL 'archive_command' setting",
              library.empty() ? facts.setting("archive_command") : "archive_library = " + library);
    lines.add("last_archived_wal", "Last archived WAL",
              facts.last_archived_wal.empty() ? "No WAL segment shipped yet"
                                              : facts.last_archived_wal + ", at " + facts.last_archived_time);
    if (!facts.last_failed_wal.empty()) {
        lines.add("failed_count", "Failures of WAL archiver", facts.last_failed_wal + ", at " + facts.last_failed_time);
    }
}

void add_receiver(StatusLines& lines, const Asked<ReceiverView>& receiver) {
    if (!receiver.value) return lines.add("receiver", "Receiver", receiver.reason);
    const ReceiverView& view = *receiver.value;
    lines.add("receiver", "Receiver", view.state);
    lines.add("durable_lsn", "Durable here up to", view.durable_lsn + " (server at " + view.server_lsn + ")");
    lines.add("exposure", "Exposure",
              view.exposure_usec == 0 ? "none: every commit is here"
                                      : fmt::format("{:.3f} s", static_cast<double>(view.exposure_usec) / 1e6));
    if (!view.error.empty() && view.state != "streaming")
        lines.add("receiver_error", "Last error of the receiver", view.error);
}

void add_catalogue(StatusLines& lines, const config::Server& server) {
    const CatalogueView view(server);
    const auto policy = config::RetentionPolicy::parse(server.retention_policy);
    const std::string window = server.wal_retention_window ? server.effective.at("wal_retention_policy") : "MAIN";
    lines.add("retention_policies", "Retention policies",
              policy ? "enforced (mode: auto, retention: " + policy->text + ", WAL retention: " + window + ")"
              : server.wal_retention_window ? "enforced on WAL only (" + window + ")"
                                            : "not enforced");
    if (!server.retention_tiers.text.empty())
        lines.add("retention_tiers", "Retention tiers", server.retention_tiers.text);
    lines.add("backups_number", "No. of available backups", std::to_string(view.done_count()));
    const auto* first = view.first_done();
    const auto* last = view.last_done();
    lines.add("first_backup", "First available backup", first != nullptr ? first->backup_id : "None");
    lines.add("last_backup", "Last available backup", last != nullptr ? last->backup_id : "None");
    lines.add("image_cloning", "Cloning of backups", image_way(server));
    lines.add("minimum_redundancy", "Minimum redundancy requirements",
              fmt::format("{} ({}/{})", view.full_count() >= server.minimum_redundancy ? "satisfied" : "FAILED",
                          view.full_count(), server.minimum_redundancy));
}

void add_scrub(StatusLines& lines, const config::Server& server) {
    const scrub::Standing standing = scrub::standing_of(server, Clock().now());
    lines.add("scrub", "Scrub", (standing.good() ? "" : "FAILED: ") + standing.text(server.scrub_interval));
}

void add_gap(StatusLines& lines, const config::Server& server) {
    const auto gaps = wal::read_gaps(server);
    if (!gaps.empty()) lines.add("last_wal_gap", "Last gap in the WAL", gaps.back().to_string());
}

void run(Context& context, const Arguments& arguments) {
    LiveState live;
    for_each_server(context, arguments.positionals, Only::any, [&](const config::Server& server) {
        StatusLines lines(context.out, server.name);
        lines.add("description", "Description", server.description.empty() ? "None" : server.description);
        lines.add("active", "Active", truth(server.active));
        lines.add("disabled", "Disabled", truth(server.disabled));
        for (const config::Problem& problem : server.problems) {
            context.out.warning(full_text(problem));
        }
        if (server.active && !server.disabled) {
            const ServerFacts facts = ask_server(server, server.check_timeout);
            add_server(lines, facts);
            lines.add("passive_node", "Passive node", "False");
            if (server.archiver) add_archive_command(lines, facts);
            if (server.streaming_archiver) add_receiver(lines, live.receiver(server.name));
            const auto archiver = live.archiver_error(server.name);
            if (archiver.value && !archiver.value->empty())
                lines.add("archiver_error", "Last error of the archiver", *archiver.value);
        }
        if (server.disabled) return;
        refuse_unreadable(server);
        if (const auto absent = absent_archive(server)) context.out.warning(absent->full_text());
        add_catalogue(lines, server);
        add_scrub(lines, server);
        add_gap(lines, server);
    });
}

}  // namespace

Command status_command() {
    return {"status", {}, "show how servers are", "SERVER...", 1, 0, {}, run};
}

}  // namespace coffer::cofferctl
