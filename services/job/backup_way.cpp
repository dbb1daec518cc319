#include "services/job/backup_way.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/restore/backup_chain.h"

namespace coffer::job {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

constexpr std::uint32_t first_version = 17;

// Empty: nothing is in the way.
std::string server_obstacle(const config::Server& server, const ServerFacts& facts) {
    if (facts.version / 10000 < first_version) {
        return fmt::format("PostgreSQL {} has no incremental backups ({} and later have)", facts.version / 10000,
                           first_version);
    }
    if (!facts.summarize_wal) return "summarize_wal is off on the server";
    if (!facts.page_format_known) return "the server's pages are not of 8 kB in files of 1 GB";
    if (!server.clone_images) return "reuse_backup is off";
    return {};
}

class Judge {
  public:
    Judge(const config::Server& server, const BackupInfo& backup, const ServerFacts& facts)
        : catalogue_(server), server_(server), backup_(backup), facts_(facts) {}

    [[nodiscard]] std::string obstacle(const BackupInfo& base) const {
        if (base.status != BackupStatus::done && base.status != BackupStatus::waiting_for_wals)
            return fmt::format("backup {} is {}", base.backup_id, catalogue::name_of(base.status));
        if (base.systemid != backup_.systemid || base.version / 10000 != backup_.version / 10000)
            return fmt::format("backup {} is of another cluster, or another major version", base.backup_id);
        if (!base.parent().empty()) return fmt::format("backup {} is an incremental one of Barman", base.backup_id);
        if (restore::in_tar_format(base)) return fmt::format("backup {} is in Barman's tar format", base.backup_id);
        if (!std::filesystem::is_regular_file(catalogue_.data_path(base.backup_id) / "backup_manifest"))
            return fmt::format("backup {} has no manifest", base.backup_id);
        if (catalogue_.is_damaged(base.backup_id))
            return fmt::format("backup {} is damaged: its pages are read again", base.backup_id);
        if (base.data_checksums != backup_.data_checksums)
            return fmt::format("data checksums are {} since backup {}", backup_.data_checksums ? "on" : "off",
                               base.backup_id);
        return other_history(base);
    }

    // Whether it is time to look at every page again.
    [[nodiscard]] std::string overdue(const BackupInfo& base) const {
        const auto extra = catalogue_.extra(base.backup_id);
        if (extra && extra->unreadable)
            return fmt::format("nobody knows when every page of backup {} was last read", base.backup_id);
        const auto last = extra && extra->full_read_at ? extra->full_read_at : base.begin_time;
        if (last && *backup_.begin_time - *last < server_.full_read_interval) return {};
        return "every page is read again after full_read_interval";
    }

  private:
    // A server that was set back to an older state of its disk sends what has changed in its own history only.
    [[nodiscard]] std::string other_history(const BackupInfo& base) const {
        const bool known =
            std::any_of(facts_.summaries.begin(), facts_.summaries.end(), [&](const WalSummary& summary) {
                return summary.timeline == base.timeline &&
                       (summary.start == base.begin_xlog || summary.end == base.begin_xlog);
            });
        if (!known) {
            return fmt::format("the server's WAL summaries do not know the checkpoint that backup {} begins with",
                               base.backup_id);
        }
        std::error_code absent;
        for (const auto& entry : std::filesystem::directory_iterator(server_.errors_directory, absent)) {
            const std::string name = entry.path().filename().string();
            if (name.ends_with(".duplicate") && name.substr(0, 8) == base.begin_wal.substr(0, 8) &&
                name.substr(0, base.begin_wal.size()) >= base.begin_wal) {
                return fmt::format("WAL of two histories has come since backup {}: {}", base.backup_id,
                                   entry.path().string());
            }
        }
        return {};
    }

    const catalogue::Catalogue catalogue_;
    const config::Server& server_;
    const BackupInfo& backup_;
    const ServerFacts& facts_;
};

}  // namespace

BackupWay choose_way(const config::Server& server, const BackupInfo& backup, const ServerFacts& facts,
                     const WayWanted& wanted) {
    const std::string obstacle = server_obstacle(server, facts);
    const Judge judge(server, backup, facts);
    const catalogue::Catalogue catalogue(server);
    if (!wanted.base.empty()) {
        const BackupInfo base = catalogue.get(wanted.base);
        const std::string why_not = obstacle.empty() ? judge.obstacle(base) : obstacle;
        if (why_not.empty()) return {base.backup_id, {}};
        throw Error(ErrorCode::refused, "no incremental backup is possible: " + why_not, base.backup_id,
                    "without --incremental the best way is chosen");
    }
    if (wanted.full) return {{}, "it was asked for"};
    if (!obstacle.empty()) return {{}, obstacle};
    std::vector<BackupInfo> others = catalogue.backups();
    std::reverse(others.begin(), others.end());
    std::string first_reason = "there is no earlier backup";
    bool any = false;
    for (const BackupInfo& base : others) {
        if (base.status != BackupStatus::done && base.status != BackupStatus::waiting_for_wals) continue;
        std::string why_not = judge.obstacle(base);
        if (why_not.empty()) why_not = judge.overdue(base);
        if (why_not.empty()) return {base.backup_id, {}};
        if (!std::exchange(any, true)) first_reason = why_not;
        if (judge.obstacle(base).empty()) break;  // an older one is no better
    }
    return {{}, first_reason};
}

}  // namespace coffer::job
