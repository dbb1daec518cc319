#include "lib/scrub/standing.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/catalogue/catalogue.h"
#include "lib/restore/backup_chain.h"
#include "lib/scrub/state.h"

namespace coffer::scrub {
namespace {

constexpr std::size_t most_named = 3;

void add_backup(Standing& standing, const std::string& backup_id, const catalogue::Extra& extra) {
    for (const catalogue::ImageDamage& each : extra.damage) {
        std::string text = fmt::format("backup {}: {} {}", backup_id, each.file, each.what);
        if (!each.blocks.empty()) text += fmt::format(" (blocks {})", fmt::join(each.blocks, ", "));
        standing.damage.push_back(std::move(text));
    }
}

std::string length_of(std::chrono::seconds interval) {
    const auto hours = std::chrono::floor<std::chrono::hours>(interval).count();
    return hours % 24 == 0 ? fmt::format("{} days", hours / 24) : fmt::format("{} hours", hours);
}

}  // namespace

bool can_be_proven(const catalogue::BackupInfo& backup) {
    const auto given = [&](const char* key) {
        const auto found = backup.unknown.find(key);
        return found != backup.unknown.end() && !found->second.empty() && found->second != "None";
    };
    return !restore::needs_unpacking(backup) && !given("encryption") && !given("snapshots_info");
}

std::string Standing::text(std::chrono::seconds interval) const {
    if (!damage.empty()) {
        std::string named;
        for (std::size_t i = 0; i < std::min(most_named, damage.size()); ++i) named += (i == 0 ? "" : "; ") + damage[i];
        return fmt::format("{} damaged: {}{}", damage.size(), named, damage.size() > most_named ? "; …" : "");
    }
    if (off) return "off";
    if (!oldest) return "nothing to prove";
    const std::string when = catalogue::format_time(*oldest).substr(0, 19) + " UTC";
    if (overdue) return fmt::format("not proven since {}, which is more than {}", when, length_of(interval));
    return fmt::format("oldest proof {}, each within {}", when, length_of(interval));
}

Standing standing_of(const config::Server& server, WallTime now) {
    const State state = read_state(server);
    Standing standing;
    standing.off = server.scrub_interval.count() == 0;
    standing.oldest = state.oldest_wal;
    const catalogue::Catalogue catalogue(server);
    for (const catalogue::BackupInfo& backup : catalogue.backups()) {
        if (backup.status != catalogue::BackupStatus::done || !backup.parent().empty()) continue;
        const auto extra = catalogue.extra(backup.backup_id);
        if (extra) add_backup(standing, backup.backup_id, *extra);
        if (!can_be_proven(backup)) continue;
        const WallTime since = std::max(extra ? extra->verified_at.value_or(WallTime{}) : WallTime{},
                                        extra ? extra->scrubbed_at.value_or(WallTime{}) : WallTime{});
        const WallTime proof = since == WallTime{} ? backup.end_time.value_or(now) : since;
        standing.oldest = std::min(standing.oldest.value_or(proof), proof);
    }
    for (const WalDamage& each : state.wal_damage)
        standing.damage.push_back(fmt::format("WAL {} {}{}", each.name, each.what,
                                              each.set_aside.empty() ? "" : ", set aside as " + each.set_aside));
    standing.overdue = !standing.off && standing.oldest && *standing.oldest + server.scrub_interval < now;
    return standing;
}

}  // namespace coffer::scrub
