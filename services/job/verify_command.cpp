#include "services/job/verify_command.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/config/catalogue_version.h"
#include "lib/verify/backup_check.h"
#include "lib/verify/make_manifest.h"
#include "services/job/foreground.h"
#include "services/job/progress.h"

namespace coffer::job {
namespace {

using Kind = OptionSpec::Kind;
using nlohmann::json;

constexpr OptionSpec options[] = {
    {"backup", Kind::positional, "backup: ID, name, latest or oldest"},
    {"jobs", Kind::text, "read with this many threads (default: parallel_jobs, at least 2)"},
    {"json", Kind::flag, "print the result as JSON"},
    {"make_manifest", Kind::flag, "write the manifest of a backup that has none, instead"},
};

constexpr std::size_t most_printed = 1000;

std::string line_of(const verify::Finding& finding) {
    std::string line = finding.path + " " + finding.what;
    if (finding.blocks.empty()) return line;
    return line + fmt::format(": block{} {}", finding.blocks.size() == 1 ? "" : "s", fmt::join(finding.blocks, ", "));
}

std::string summary(const catalogue::BackupInfo& backup, const verify::Report& report, double seconds) {
    const std::string read = fmt::format("{} files, {} bytes, {} pages and {} WAL files read in {:.1f} s", report.files,
                                         report.bytes, report.pages, report.wal_files, seconds);
    const std::string subject = fmt::format("backup {} of server {}", backup.backup_id, backup.server_name);
    if (report.findings.empty()) return subject + " is what was backed up: " + read;
    return fmt::format("{} is damaged, {} findings: {}", subject, report.findings.size(), read);
}

json json_of(const std::string& server, const catalogue::BackupInfo& backup, const verify::Report& report,
             double seconds) {
    json findings = json::array();
    for (const verify::Finding& each : report.findings)
        findings.push_back({{"path", each.path}, {"what", each.what}, {"blocks", each.blocks}});
    return {{server,
             {{"backup_id", backup.backup_id},
              {"damaged", !report.findings.empty()},
              {"findings", std::move(findings)},
              {"notes", report.notes},
              {"files", report.files},
              {"bytes", report.bytes},
              {"pages", report.pages},
              {"wal_files", report.wal_files},
              {"seconds", seconds}}}};
}

// When it was last found good is told by show-backup; who may not write there has verified it all the same.
void note(const catalogue::Catalogue& catalogue, const std::string& backup_id, WallTime begun, WallTime at) {
    try {
        auto extra = catalogue.extra(backup_id);
        if (!extra || extra->unreadable) return;
        extra->verified_at = at;
        // What a scrub has found since may be of bytes that were read before.
        std::erase_if(extra->damage, [&](const auto& each) { return each.found_at < begun; });
        catalogue.save(backup_id, *extra);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::permission_denied) log_warning("the time is not noted: {}", error.what());
    }
}

JobResult verify_now(const JobRequest& request, ProgressReporter& progress) {
    const Clock clock;
    const MonotonicTime began = clock.monotonic();
    const config::Config config = config::load(config::find_config_file(request.config));
    const config::Server& server = config.server(request.server);
    config::require_known_catalogue(server);
    const catalogue::Catalogue catalogue(server);
    const catalogue::BackupInfo backup = catalogue.get(request.options.text("backup").value_or(""));
    std::vector<std::string> warnings;
    const auto held = lease(server, backup.backup_id, warnings);

    if (request.options.flag("make_manifest")) {
        progress.phase("manifest", "reading the backup");
        const std::uint64_t count =
            verify::make_manifest(server, backup, threads(request.options, server), stop_asked(request.stop_fd));
        progress.end_line();
        const std::string text =
            fmt::format("Backup manifest for backup '{}' successfully generated for server {}: {} files",
                        backup.backup_id, server.name, count);
        print(request.options.flag("json") ? json{{"_INFO", {text}}}.dump(4) : text);
        return {backup.backup_id, {}};
    }
    verify::Control control;
    control.jobs = threads(request.options, server);
    control.canceled = stop_asked(request.stop_fd);
    control.begin = [&](std::uint64_t total) { progress.phase("verify", "reading the backup", total); };
    control.advance = [&](std::uint64_t done) { progress.advance(done); };
    const WallTime begun = clock.now();
    verify::Report report = verify::check_backup(server, backup, control);
    progress.end_line();
    report.notes.insert(report.notes.begin(), warnings.begin(), warnings.end());
    const double seconds = std::chrono::duration<double>(clock.monotonic() - began).count();
    if (report.findings.empty()) note(catalogue, backup.backup_id, begun, clock.now());

    if (request.options.flag("json")) {
        print(json_of(server.name, backup, report, seconds).dump(4));
    } else {
        for (std::size_t i = 0; i < std::min(report.findings.size(), most_printed); ++i)
            print("damaged: " + line_of(report.findings[i]));
        for (const std::string& text : report.notes) print("WARNING: " + text);
        if (report.findings.empty()) print(summary(backup, report, seconds));
    }
    if (report.findings.empty()) return {backup.backup_id, {}};
    throw Damaged(
        ErrorCode::corrupt, summary(backup, report, seconds), std::string(),
        "take another backup, which reads every page again with --full, and restore from another one until then");
}

JobResult run_verify(const JobRequest& request, ProgressReporter& progress) {
    return with_json_errors(request, progress, verify_now);
}

}  // namespace

Command verify_command() {
    return {"verify", "read all of a backup and say what is damaged", options, run_verify};
}

}  // namespace coffer::job
