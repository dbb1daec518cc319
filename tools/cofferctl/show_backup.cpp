// cofferctl show-backup: everything known of one backup.
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "tools/cofferctl/catalogue_view.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;
using nlohmann::json;

// Sizes and times appear twice: for people, and as a number.
void put_size(json& object, const std::string& key, double bytes) {
    object[key] = pretty_size(bytes);
    object[key + "_bytes"] = static_cast<std::int64_t>(bytes);
}

void put_time(json& object, const std::string& key, const std::optional<WallTime>& time) {
    if (!time) return;
    object[key] = iso_text(*time);
    object[key + "_timestamp"] = std::to_string(seconds_of(*time));
}

void put_saved(json& object, const char* key, double saved) {
    if (saved > 0) object[key] = fmt::format("{:.2f}%", 100 * saved);
}

json base_information(const BackupInfo& backup, const WalFigures& wal, const std::optional<catalogue::Extra>& extra) {
    const std::uint64_t mask = backup.xlog_segment_size.bytes() - 1;
    json base{{"timeline", backup.timeline},
              {"begin_wal", backup.begin_wal},
              {"end_wal", backup.end_wal},
              {"begin_lsn", backup.begin_xlog.to_string()},
              {"end_lsn", backup.end_xlog.to_string()},
              {"begin_offset", backup.begin_xlog.value & mask},
              {"end_offset", backup.end_xlog.value & mask},
              {"number_of_workers", 1},
              {"backup_method", backup.mode},
              {"wal_num", wal.within_files}};
    put_size(base, "wal_size", static_cast<double>(wal.within_bytes));
    if (const auto found = backup.unknown.find("compression"); found != backup.unknown.end() && found->second != "None")
        base["compression"] = found->second;
    put_size(base, "disk_usage", static_cast<double>(backup.size));
    put_size(base, "disk_usage_with_wals", static_cast<double>(backup.size + wal.within_bytes));
    const std::uint64_t deduplicated = backup.deduplicated_size > 0 ? backup.deduplicated_size : backup.size;
    put_size(base, "incremental_size", static_cast<double>(deduplicated));
    const double saved =
        backup.size > 0 ? 100.0 * (1 - static_cast<double>(deduplicated) / static_cast<double>(backup.size)) : 0;
    base["incremental_size_ratio"] = fmt::format("-{:.2f}%", saved);
    put_saved(base, "wal_compression_ratio", wal.within_saved);
    put_time(base, "begin_time", backup.begin_time);
    put_time(base, "end_time", backup.end_time);
    double seconds = extra ? extra->copy_seconds : 0;
    if (seconds <= 0 && backup.begin_time && backup.end_time) {
        seconds = std::chrono::duration<double>(*backup.end_time - *backup.begin_time).count();
    }
    base["copy_time"] = pretty_duration(seconds);
    base["copy_time_seconds"] = seconds;
    base["analysis_time"] = pretty_duration(0);
    base["analysis_time_seconds"] = 0;
    const double throughput = seconds > 0 ? static_cast<double>(backup.size) / seconds : 0;
    base["throughput"] = pretty_size(throughput) + "/s";
    base["throughput_bytes"] = throughput;
    return base;
}

json wal_information(const WalFigures& wal) {
    json shown{{"no_of_files", wal.after_files},
               {"last_available", wal.last},
               {"timelines", json::array()},
               {"wal_rate", 0},
               {"wal_rate_per_second", wal.per_second}};
    put_size(shown, "disk_usage", static_cast<double>(wal.after_bytes));
    put_saved(shown, "compression_ratio", wal.after_saved);
    if (wal.per_second > 0) shown["wal_rate"] = fmt::format("{:.2f}/hour", wal.per_second * 3600);
    return shown;
}

// The incremental backups of Barman's that a backup needs, or that need it.
json chain_information(const CatalogueView& view, const BackupInfo& backup) {
    std::map<std::string, std::string> parents;
    json children;  // null without any
    for (const BackupInfo& other : view.backups()) {
        const std::string parent = other.parent();
        if (parent.empty()) continue;
        parents[other.backup_id] = parent;
        if (parent == backup.backup_id) children.push_back(other.backup_id);
    }
    std::string root = backup.backup_id;
    std::size_t size = 1;
    while (parents.contains(root) && size <= parents.size()) {
        root = parents[root];
        ++size;
    }
    json chain{{"parent_backup_id", nullptr}, {"root_backup_id", nullptr}, {"children_backup_ids", children}};
    if (!backup.parent().empty()) chain.update({{"parent_backup_id", backup.parent()}, {"root_backup_id", root}});
    chain["chain_size"] = size;
    return chain;
}

json catalog_information(const CatalogueView& view, const config::Server& server, const BackupInfo& backup) {
    const BackupInfo* previous = view.previous(backup);
    const BackupInfo* next = view.next(backup);
    const bool enforced = !server.retention_policy.empty() || server.wal_retention_window;
    return {{"retention_policy", enforced ? view.retention_of(backup) : "not enforced"},
            {"previous_backup", previous != nullptr ? previous->backup_id : "- (this is the oldest base backup)"},
            {"next_backup", next != nullptr ? next->backup_id : "- (this is the latest base backup)"}};
}

json page_information(const catalogue::Extra& extra) {
    json pages{{"pages_checked", extra.pages_checked},
               {"pages_mended_by_wal", extra.pages_torn_allowed},
               {"bad_pages_total", extra.bad_pages_total},
               {"bad_pages", json::array()}};
    for (const auto& page : extra.bad_pages) {
        pages["bad_pages"].push_back({{"file", page.file}, {"block", page.block}, {"lsn", page.page_lsn.to_string()}});
    }
    return pages;
}

// When the scrub proved it, and what it found.
json scrub_information(const catalogue::Extra& extra) {
    json scrub{{"damage", json::array()}};
    put_time(scrub, "verified", extra.verified_at);
    put_time(scrub, "scrubbed", extra.scrubbed_at);
    for (const auto& each : extra.damage) {
        scrub["damage"].push_back(
            {{"file", each.file}, {"what", each.what}, {"blocks", each.blocks}, {"found", iso_text(each.found_at)}});
    }
    return scrub;
}

// How the image came to be; Barman knows nothing of it.
json image_information(const catalogue::Extra& extra) {
    json image{{"way", extra.way}, {"way_reason", extra.way_reason}, {"base", extra.base}, {"clone", extra.clone}};
    put_size(image, "received", static_cast<double>(extra.bytes_received));
    put_size(image, "written", static_cast<double>(extra.bytes_written));
    put_time(image, "full_read", extra.full_read_at);
    if (extra.verified_at) put_time(image, "verified", extra.verified_at);
    return image;
}

json describe(const CatalogueView& view, const config::Server& server, const BackupInfo& backup) {
    json shown{{"backup_id", backup.backup_id}, {"backup_type", type_of(backup)}, {"status", name_of(backup.status)}};
    const auto extra = catalogue::Catalogue(server).extra(backup.backup_id);
    if (!backup.backup_name.empty()) shown["backup_name"] = backup.backup_name;
    if (!backup.error.empty()) shown["error"] = backup.error;
    const bool copied = extra && extra->files > 0;  // an attempt that was cut off has nothing to say
    if (copied) shown["page_information"] = page_information(*extra);
    if (copied) shown["image_information"] = image_information(*extra);
    if (extra && (extra->verified_at || extra->scrubbed_at || !extra->damage.empty()))
        shown["scrub_information"] = scrub_information(*extra);
    if (backup.status != BackupStatus::done && backup.status != BackupStatus::waiting_for_wals) return shown;
    const WalFigures wal = view.wal_of(backup);
    shown.update({{"system_id", std::to_string(backup.systemid)},
                  {"postgresql_version", backup.version},
                  {"pgdata_directory", backup.pgdata},
                  {"data_checksums", backup.data_checksums},
                  {"tablespaces", json::array()},
                  {"base_backup_information", base_information(backup, wal, extra)},
                  {"wal_information", wal_information(wal)},
                  {"catalog_information", catalog_information(view, server, backup)}});
    shown["catalog_information"].update(chain_information(view, backup));
    for (const auto& space : backup.tablespaces) {
        shown["tablespaces"].push_back({{"name", space.name}, {"location", space.location}, {"oid", space.oid}});
    }
    return shown;
}

std::string plain(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_rows(Output& out, int indent, const json& object,
                std::initializer_list<std::pair<const char*, const char*>> rows) {
    for (const auto& [label, key] : rows) {
        if (!object.contains(key)) continue;
        out.line(fmt::format("{:{}}{:<{}}: {}", "", indent, label, 25 - indent, plain(object[key])));
    }
}

void print_pages(Output& out, const BackupInfo& backup, const json& pages) {
    out.line("\n  Page checksums:");
    if (pages["pages_checked"] == 0) {
        return out.line(backup.data_checksums ? "    not verified: pages of another size than 8 kB, or files than 1 GB"
                                              : "    no checksums in this cluster: damage of its pages goes unnoticed");
    }
    print_rows(out, 4, pages, {{"Pages checked", "pages_checked"}, {"Bad pages", "bad_pages_total"}});
    for (const json& page : pages["bad_pages"]) {
        out.line(fmt::format("    bad page: {} block {} (LSN {})", plain(page["file"]), plain(page["block"]),
                             plain(page["lsn"])));
    }
}

void print_image(Output& out, json image) {
    out.line("\n  Image:");
    const std::string reason = plain(image["way_reason"]), base = plain(image["base"]);
    image["way"] = plain(image["way"]) + (reason.empty() ? "" : " (" + reason + ")");
    image["begun"] = base.empty() ? "with nothing" : plain(image["clone"]) + " of " + base;
    print_rows(out, 4, image,
               {{"Sent by the server", "way"},
                {"Begun", "begun"},
                {"Received", "received"},
                {"Written", "written"},
                {"All pages read at", "full_read"}});
}

void print_scrub(Output& out, const json& scrub) {
    out.line("\n  Proof of what lies on disk:");
    print_rows(out, 4, scrub, {{"Found good at", "verified"}, {"Last scrubbed at", "scrubbed"}});
    for (const json& each : scrub["damage"]) {
        out.line(fmt::format("    damaged: {} {}{}", plain(each["file"]), plain(each["what"]),
                             each["blocks"].empty() ? "" : ": blocks " + each["blocks"].dump()));
    }
}

void print(Output& out, const std::string& server, const BackupInfo& backup, const json& shown) {
    out.line("Backup " + plain(shown["backup_id"]) + ":");
    print_rows(out, 2, shown, {{"Backup Name", "backup_name"}});
    print_rows(out, 2, json{{"server", server}}, {{"Server Name", "server"}});
    print_rows(out, 2, shown,
               {{"System Id", "system_id"},
                {"Status", "status"},
                {"Error", "error"},
                {"PostgreSQL Version", "postgresql_version"},
                {"PGDATA directory", "pgdata_directory"}});
    if (shown.contains("tablespaces") && !shown["tablespaces"].empty()) {
        out.line("\n  Tablespaces:");
        for (const json& space : shown["tablespaces"]) {
            out.line(fmt::format("    {}: {} (oid: {})", plain(space["name"]), plain(space["location"]),
                                 plain(space["oid"])));
        }
    }
    if (shown.contains("base_backup_information")) {
        json base = shown["base_backup_information"];
        base["usage"] = plain(base["disk_usage"]) + " (" + plain(base["disk_usage_with_wals"]) + " with WALs)";
        base["incremental"] = plain(base["incremental_size"]) + " (" + plain(base["incremental_size_ratio"]) + ")";
        out.line("\n  Base backup information:");
        print_rows(out, 4, base,
                   {{"Disk usage", "usage"},
                    {"Incremental size", "incremental"},
                    {"Timeline", "timeline"},
                    {"Begin WAL", "begin_wal"},
                    {"End WAL", "end_wal"},
                    {"Begin time", "begin_time"},
                    {"End time", "end_time"},
                    {"Copy time", "copy_time"},
                    {"Estimated throughput", "throughput"},
                    {"Begin Offset", "begin_offset"},
                    {"End Offset", "end_offset"},
                    {"Begin LSN", "begin_lsn"},
                    {"End LSN", "end_lsn"}});
        out.line("\n  WAL information:");
        json wal = shown["wal_information"];
        if (!wal["wal_rate"].is_string()) wal.erase("wal_rate");
        print_rows(out, 4, wal,
                   {{"No of files", "no_of_files"},
                    {"Disk usage", "disk_usage"},
                    {"Compression ratio", "compression_ratio"},
                    {"WAL rate", "wal_rate"},
                    {"Last available", "last_available"}});
        out.line("\n  Catalog information:");
        print_rows(out, 4, shown["catalog_information"],
                   {{"Retention Policy", "retention_policy"},
                    {"Previous Backup", "previous_backup"},
                    {"Next Backup", "next_backup"}});
        if (!backup.parent().empty()) {
            print_rows(out, 4, shown["catalog_information"],
                       {{"Root Backup", "root_backup_id"},
                        {"Parent Backup", "parent_backup_id"},
                        {"Backup chain size", "chain_size"}});
        }
        for (const auto& child : shown["catalog_information"]["children_backup_ids"])
            out.line("    Child Backup         : " + child.get<std::string>());
    }
    if (shown.contains("scrub_information")) print_scrub(out, shown["scrub_information"]);
    if (shown.contains("image_information")) print_image(out, shown["image_information"]);
    if (shown.contains("page_information")) print_pages(out, backup, shown["page_information"]);
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const std::string& wanted = arguments.positionals[1];
    const auto backup = catalogue::Catalogue(server).find(wanted);
    if (!backup) {
        throw Error(ErrorCode::no_such_backup, "Unknown backup '" + wanted + "' for server '" + server.name + "'", {},
                    "cofferctl list-backups " + server.name + " shows what exists");
    }
    const CatalogueView view(server);
    const json shown = describe(view, server, *backup);
    if (!context.out.json_wanted()) print(context.out, server.name, *backup, shown);
    context.out.data()[server.name] = shown;
}

}  // namespace

Command show_backup_command() {
    return {"show-backup", {"show-backups"}, "show one backup", "SERVER BACKUP", 2, 2, {}, run};
}

}  // namespace coffer::cofferctl
