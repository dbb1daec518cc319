#include "services/job/scrub_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/catalogue/backup_info.h"

namespace coffer::job {

using nlohmann::json;

std::string text_of(const ScrubFinding& found) {
    const auto& [path, what, blocks] = found.finding;
    std::string text = found.backup.empty() ? path : fmt::format("backup {}: {}", found.backup, path);
    text += " " + what;
    if (!blocks.empty()) text += fmt::format(": block{} {}", blocks.size() == 1 ? "" : "s", fmt::join(blocks, ", "));
    if (!found.shared_by.empty()) text += fmt::format("; shared by {}", fmt::join(found.shared_by, ", "));
    if (!found.set_aside.empty()) text += "; set aside as " + found.set_aside;
    if (!found.mended_by.empty()) return text + "; mended with " + found.mended_by;
    return found.why_not.empty() ? text : text + "; not mended: " + found.why_not;
}

std::string summary(const std::string& server, const ScrubReport& report) {
    std::string text = fmt::format(
        "server {}: {} bytes proven ({} of {} held), {} backups to their end, {} WAL files, {:.1f} s", server,
        report.bytes, report.bytes_read, report.bytes_held, report.images.size(), report.wal_files, report.seconds);
    if (report.oldest) text += "; the oldest proof is of " + catalogue::format_time(*report.oldest).substr(0, 19);
    return text;
}

std::string json_text(const std::string& server, const ScrubReport& report) {
    json findings = json::array();
    for (const ScrubFinding& each : report.findings) {
        findings.push_back({{"backup_id", each.backup},
                            {"path", each.finding.path},
                            {"what", each.finding.what},
                            {"blocks", each.finding.blocks},
                            {"shared_by", each.shared_by},
                            {"mended_by", each.mended_by},
                            {"set_aside", each.set_aside},
                            {"why_not_mended", each.why_not}});
    }
    json object{{"damaged", report.damaged > 0},   {"damaged_things", report.damaged},
                {"findings", std::move(findings)}, {"mended", report.mended},
                {"notes", report.notes},           {"backups_proven", report.images},
                {"wal_files", report.wal_files},   {"bytes", report.bytes},
                {"bytes_read", report.bytes_read}, {"bytes_held", report.bytes_held},
                {"share_bytes", report.share},     {"seconds", report.seconds}};
    object["oldest_proof"] = report.oldest ? json(catalogue::format_time(*report.oldest)) : json();
    return json{{server, std::move(object)}}.dump(4, ' ', false, json::error_handler_t::replace);
}

}  // namespace coffer::job
