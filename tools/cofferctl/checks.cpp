#include "tools/cofferctl/checks.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "lib/config/retention_policy.h"
#include "tools/cofferctl/directories.h"
#include "tools/cofferctl/image_way.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

namespace fs = std::filesystem;

// Entries that are files of the log, not what is being written.
std::size_t count_files(const Path& directory, bool partial_too) {
    std::size_t count = 0;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.front() == '.' || name.ends_with(".tmp") || (!partial_too && name.ends_with(".partial"))) continue;
        ++count;
    }
    return count;
}

void check_directories(const config::Server& server, std::vector<CheckItem>& items) {
    std::string hint;
    if (const auto absent = absent_archive(server)) hint = absent->full_text();
    for (const Path& path :
         {server.backup_directory, server.basebackups_directory, server.wals_directory, server.incoming_wals_directory,
          server.streaming_wals_directory, server.errors_directory}) {
        // What is missing is made by the service that needs it first, as long as it can be.
        Path existing = path;
        while (!existing.empty() && existing != existing.root_path() && ::access(existing.c_str(), F_OK) != 0) {
            existing = existing.parent_path();
        }
        if (!fs::is_directory(existing) || ::access(existing.c_str(), R_OK | X_OK) != 0) {
            hint = "cannot use " + path.string() + ": it must be a directory that user coffer can read and write";
        }
    }
    items.push_back({"directories", hint.empty(), hint});
}

void check_queues(const config::Server& server, std::vector<CheckItem>& items) {
    const std::size_t incoming = count_files(server.incoming_wals_directory, true);
    const std::size_t streaming = count_files(server.streaming_wals_directory, false);
    if (!server.archiver && incoming > 0)
        items.push_back({"empty incoming directory", false, "'archiver' is off but files are there"});
    if (!server.streaming_archiver && streaming > 0) {
        items.push_back({"empty streaming directory", false, "'streaming_archiver' is off but files are there"});
    }
    if (!server.max_incoming_wals_queue) return;
    const auto most = *server.max_incoming_wals_queue;
    if (server.archiver && incoming > most) {
        items.push_back({"incoming WALs directory", false,
                         fmt::format("there are {} files, at most {} are expected", incoming, most)});
    }
    if (server.streaming_archiver && streaming > most) {
        items.push_back({"streaming WALs directory", false,
                         fmt::format("there are {} files, at most {} are expected", streaming, most)});
    }
}

void check_archiver_errors(const config::Server& server, std::vector<CheckItem>& items) {
    const std::size_t files = count_files(server.errors_directory, true);
    items.push_back({"archiver errors", files == 0,
                     files == 0 ? "" : fmt::format("{} files in {}", files, server.errors_directory.string())});
}

void check_system(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items) {
    const auto identity = catalogue::Catalogue(server).identity();
    CheckItem item{"systemid coherence", true, ""};
    if (!facts.reachable()) {
        item.hint = "no system Id available";
    } else if (facts.streaming_error.empty() && facts.system_identifier != facts.streaming_system_identifier) {
        item = {item.name, false, "conninfo and streaming_conninfo lead to different systems"};
    } else if (identity && identity->systemid != facts.system_identifier) {
        item = {item.name, false,
                fmt::format("the server is system {}, its backups are of system {}", facts.system_identifier,
                            identity->systemid)};
    } else if (!identity) {
        item.hint = "no system Id stored on disk";
    }
    items.push_back(item);
}

void check_archive_command(const ServerFacts& facts, std::vector<CheckItem>& items) {
    const std::string mode = facts.setting("archive_mode");
    const bool on = mode == "on" || mode == "always";
    items.push_back({"archive_mode", on, on ? "" : "please set it to 'on' or 'always'"});
    const std::string command = facts.setting("archive_command");
    const bool set = !facts.setting("archive_library").empty() || (!command.empty() && command != "(disabled)");
    items.push_back({"archive_command", set, set ? "" : "please set it accordingly to documentation"});
    items.push_back({"continuous archiving", facts.archiver_is_archiving, ""});
}

std::string age_text(WallTime now, WallTime then) {
    return pretty_duration(std::chrono::duration<double>(std::max(now, then) - then).count());
}

void check_backup_age(const config::Server& server, const catalogue::BackupInfo* last, WallTime now,
                      std::vector<CheckItem>& items) {
    if (!server.last_backup_maximum_age) {
        items.push_back({"backup maximum age", true, "no last_backup_maximum_age provided"});
        return;
    }
    const std::string limit = pretty_duration(static_cast<double>(server.last_backup_maximum_age->count()));
    if (last == nullptr || !last->end_time) {
        items.push_back(
            {"backup maximum age", false, "interval provided: " + limit + ", latest backup age: No available backups"});
        return;
    }
    items.push_back({"backup maximum age", now - *last->end_time <= *server.last_backup_maximum_age,
                     "interval provided: " + limit + ", latest backup age: " + age_text(now, *last->end_time)});
}

void check_wal_age(const config::Server& server, const CatalogueView& view, WallTime now,
                   std::vector<CheckItem>& items) {
    if (!server.last_wal_maximum_age) {
        items.push_back({"wal maximum age", true, "no last_wal_maximum_age provided"});
        return;
    }
    const std::string limit = pretty_duration(static_cast<double>(server.last_wal_maximum_age->count()));
    const wal::XlogTally::Sum wal = view.all_wal();
    if (wal.files == 0) {
        items.push_back({"wal maximum age", false, "No WAL files archived for last backup"});
        return;
    }
    items.push_back({"wal maximum age", now - wal.last_modified <= *server.last_wal_maximum_age,
                     "interval provided: " + limit + ", latest wal age: " + age_text(now, wal.last_modified)});
}

}  // namespace

std::string CheckItem::key() const {
    std::string key;
    for (const char c : name) {
        if (c == '.') continue;
        key += c == ' ' || c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return key;
}

bool ServerChecks::passed() const {
    return std::all_of(items.begin(), items.end(), [](const CheckItem& item) { return item.passed; });
}

namespace {

// As Barman judges a standby that is backed up, under its names.
void check_primary(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items) {
    if (server.primary_conninfo.empty()) return;
    items.push_back({"PostgreSQL server is standby", facts.in_recovery,
                     facts.in_recovery ? ""
                                       : "conninfo leads to a primary: it was promoted, or primary_conninfo is not "
                                         "needed"});
    const bool reached = facts.primary_error.empty();
    const bool primary = reached && !facts.primary_in_recovery;
    items.push_back({"Primary server is not a standby", primary,
                     primary   ? ""
                     : reached ? "primary_conninfo leads to a standby"
                               : facts.primary_error});
    const bool same = reached && facts.primary_system_identifier == facts.system_identifier;
    items.push_back({"Primary and standby have same system ID", same,
                     same      ? ""
                     : reached ? fmt::format("conninfo leads to system {}, primary_conninfo to system {}",
                                             facts.system_identifier, facts.primary_system_identifier)
                               : facts.primary_error});
}

void check_wal_host(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items) {
    if (!server.other_wal_host) return;
    const bool reached = facts.wal_error.empty();
    const bool may_look = reached && facts.wal_monitoring_rights;
    items.push_back(
        {may_look ? "has monitoring privileges (WAL streaming)" : "no access to monitoring functions (WAL streaming)",
         may_look,
         may_look  ? ""
         : reached ? "the role of wal_conninfo must be a member of pg_read_all_settings and "
                     "pg_read_all_stats, or of pg_monitor"
                   : facts.wal_error});
    items.push_back(
        {"PostgreSQL streaming (WAL streaming)", facts.wal_streaming_error.empty(), facts.wal_streaming_error});
    const bool level = reached && facts.wal_level_there != "minimal";
    items.push_back({"wal_level (WAL streaming)", level,
                     level     ? ""
                     : reached ? "please set it to a higher level than 'minimal'"
                               : facts.wal_error});
    CheckItem item{"systemid coherence (WAL streaming)", true, ""};
    if (!reached || !facts.wal_streaming_error.empty()) {
        item.hint = "no system Id available";
    } else if (facts.wal_system_identifier != facts.wal_streaming_system_identifier) {
        item = {item.name, false, "wal_conninfo and wal_streaming_conninfo lead to different systems"};
    } else if (facts.reachable() && facts.wal_system_identifier != facts.system_identifier) {
        item = {item.name, false, "conninfo and wal_conninfo lead to different systems"};
    }
    items.push_back(item);
}

void check_slot(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items) {
    if (!server.slot_name) return;
    const std::string slot = "'" + *server.slot_name + "'";
    std::string fault;
    if (server.streaming_archiver) {
        if (server.other_wal_host && !facts.wal_error.empty())
            fault = facts.wal_error;
        else if (!facts.slot_exists)
            fault = "replication slot " + slot + " doesn't exist; set create_slot = auto";
        else if (!facts.slot_has_position)
            fault = "slot " + slot + " not initialised: is the streamer running?";
        else if (!facts.slot_active)
            fault = "slot " + slot + " not active: is the streamer running?";
    }
    items.push_back(
        {server.other_wal_host ? "replication slot (WAL streaming)" : "replication slot", fault.empty(), fault});
}

}  // namespace

void check_postgres(const config::Server& server, const ServerFacts& facts, std::vector<CheckItem>& items) {
    items.push_back({"PostgreSQL", facts.reachable(), facts.error});
    if (!facts.reachable()) return;
    items.push_back({facts.superuser_or_backup_rights ? "superuser or standard user with backup privileges"
                                                      : "no access to backup functions",
                     facts.superuser_or_backup_rights,
                     facts.superuser_or_backup_rights
                         ? ""
                         : "privileges for PostgreSQL backup functions are required: pg_read_all_settings, "
                           "pg_read_all_stats, and execute on pg_switch_wal()"});
    items.push_back({"PostgreSQL streaming", facts.streaming_error.empty(), facts.streaming_error});
    const bool level = facts.setting("wal_level") != "minimal";
    items.push_back({"wal_level", level, level ? "" : "please set it to a higher level than 'minimal'"});
    check_primary(server, facts, items);
    check_wal_host(server, facts, items);
    check_slot(server, facts, items);
}

void check_catalogue(const config::Server& server, const CatalogueView& view, WallTime now, ServerChecks& checks) {
    auto& items = checks.items;
    const auto* last = view.last_done();
    const bool policy = server.retention_policy.empty() || config::RetentionPolicy::parse(server.retention_policy);
    items.push_back(
        {"retention policy settings", policy, policy ? "" : "no retention policy: " + server.retention_policy});
    check_backup_age(server, last, now, items);
    checks.backup_bytes = last != nullptr ? last->size : 0;
    const std::string size = pretty_size(static_cast<double>(checks.backup_bytes));
    const bool enough = !server.last_backup_minimum_size || checks.backup_bytes >= *server.last_backup_minimum_size;
    items.push_back({"backup minimum size", enough,
                     server.last_backup_minimum_size
                         ? size + ", minimum: " + pretty_size(static_cast<double>(*server.last_backup_minimum_size))
                         : size});
    check_wal_age(server, view, now, items);
    checks.wal_bytes = last != nullptr ? view.wal_of(*last).after_bytes : 0;
    items.push_back({"wal size", true, pretty_size(static_cast<double>(checks.wal_bytes))});
    items.push_back({"compression settings", true, ""});
    items.push_back({"image cloning", true, image_way(server)});
    check_scrub(scrub::standing_of(server, now), server.scrub_interval, items);
    const auto failed = std::count_if(view.backups().begin(), view.backups().end(),
                                      [](const auto& b) { return b.status == catalogue::BackupStatus::failed; });
    items.push_back({"failed backups", failed == 0, fmt::format("there are {} failed backups", failed)});
    items.push_back(
        {"minimum redundancy requirements", view.full_count() >= server.minimum_redundancy,
         fmt::format("have {} backups, expected at least {}", view.full_count(), server.minimum_redundancy)});
}

// Those that a recovery from the newest backup would run into.
void check_gaps(const std::vector<wal::WalGap>& gaps, const catalogue::BackupInfo* last,
                std::vector<CheckItem>& items) {
    if (gaps.empty()) return;
    const wal::WalGap* worst = nullptr;
    for (const wal::WalGap& gap : gaps) {
        if (last == nullptr || last->begin_xlog < gap.to) worst = &gap;
    }
    items.push_back({"WAL gap", worst == nullptr,
                     worst == nullptr ? "" : worst->to_string() + " is missing for ever; take a new backup now"});
}

void check_scrub(const scrub::Standing& standing, std::chrono::seconds interval, std::vector<CheckItem>& items) {
    items.push_back({"scrub", standing.good(), standing.text(interval)});
}

void check_receiver(const config::Server& server, const Asked<ReceiverView>& receiver, std::vector<CheckItem>& items) {
    if (!server.streaming_archiver) return;
    if (!receiver.value) {
        items.push_back({"receive-wal running", false, receiver.reason});
        return;
    }
    const ReceiverView& view = *receiver.value;
    const bool running = view.state == "streaming" || view.state == "catching-up";
    items.push_back(
        {"receive-wal running", running, running ? "" : view.state + (view.error.empty() ? "" : ": " + view.error)});
}

void check_configuration(const config::Server& server, std::vector<CheckItem>& items) {
    std::string ignored;
    for (const config::Problem& problem : server.problems) {
        if (problem.fatal)
            items.push_back({"configuration", false, problem.to_string() + " (" + problem.remedy + ")"});
        else
            ignored += (ignored.empty() ? "WARNING: " : "; ") + problem.to_string();
    }
    if (!ignored.empty() && !server.disabled) items.push_back({"configuration", true, ignored});
}

ServerChecks check_server(const config::Server& server, const Asked<ReceiverView>& receiver, std::chrono::seconds limit,
                          WallTime now) {
    ServerChecks checks;
    check_configuration(server, checks.items);
    if (server.disabled) return checks;
    try {
        const ServerFacts facts = ask_server(server, limit);
        refuse_unreadable(server);
        const CatalogueView view(server);
        // With nothing in the archive, an idle server is all right as long as it is streamed.
        const bool streaming = receiver.value && receiver.value->state == "streaming";
        if (view.all_wal().files == 0 && !streaming) {
            checks.items.push_back({"WAL archive", false, "please make sure WAL shipping is setup"});
        }
        check_queues(server, checks.items);
        check_postgres(server, facts, checks.items);
        check_directories(server, checks.items);
        check_catalogue(server, view, now, checks);
        check_system(server, facts, checks.items);
        if (server.archiver && facts.reachable()) check_archive_command(facts, checks.items);
        check_receiver(server, receiver, checks.items);
        if (server.streaming_archiver) check_gaps(wal::read_gaps(server), view.last_done(), checks.items);
        check_archiver_errors(server, checks.items);
        if (facts.timed_out)
            checks.items.push_back({"check timeout", false, fmt::format("limit: {} seconds", limit.count())});
    } catch (const Error& error) {
        checks.items.push_back({"catalogue", false, error.full_text()});
    } catch (const std::exception& error) {
        checks.items.push_back({"catalogue", false, error.what()});
    }
    return checks;
}

}  // namespace coffer::cofferctl
