#include "services/job/backup_way.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/error.h"

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
    Judge(const config::Server& server, const BackupInfo& backup)
        : catalogue_(server), server_(server), backup_(backup) {}

    [[nodiscard]] std::string obstacle(const BackupInfo& base) const {
        if (base.status != BackupStatus::done && base.status != BackupStatus::waiting_for_wals)
            return fmt::format("backup {} is {}", base.backup_id, catalogue::name_of(base.status));
        if (base.systemid != backup_.systemid || base.version / 10000 != backup_.version / 10000)
            return fmt::format("backup {} is of another cluster, or another major version", base.backup_id);
        if (!base.parent().empty()) return fmt::format("backup {} is an incremental one of Barman", base.backup_id);
        if (!std::filesystem::is_regular_file(catalogue_.data_path(base.backup_id) / "backup_manifest"))
            return fmt::format("backup {} has no manifest", base.backup_id);
        if (base.data_checksums != backup_.data_checksums)
            return fmt::format("data checksums are {} since backup {}", backup_.data_checksums ? "on" : "off",
                               base.backup_id);
        return {};
    }

    // Whether it is time to look at every page again.
    [[nodiscard]] std::string overdue(const BackupInfo& base) const {
        const auto extra = catalogue_.extra(base.backup_id);
        const auto last = extra && extra->full_read_at ? extra->full_read_at : base.begin_time;
        if (last && *backup_.begin_time - *last < server_.full_read_interval) return {};
        return "every page is read again after full_read_interval";
    }

  private:
    const catalogue::Catalogue catalogue_;
    const config::Server& server_;
    const BackupInfo& backup_;
};

}  // namespace

BackupWay choose_way(const config::Server& server, const BackupInfo& backup, const ServerFacts& facts,
                     const WayWanted& wanted) {
    const std::string obstacle = server_obstacle(server, facts);
    const Judge judge(server, backup);
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
