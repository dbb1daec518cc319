#include "services/archiver/expiry.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/retention/candidates.h"

namespace coffer::archiver {
namespace {

using retention::Decision;
using retention::Judgement;
using retention::Situation;

// staying: backups that could not be deleted, so the WAL behind them may be wanted.
Decision decide_with(const config::Server& server, const wal::WalArchive* archive, WallTime now,
                     const std::set<std::string>& staying) {
    Situation situation = retention::situation_of(
        server, catalogue::Catalogue(server).backups(),
        [archive](const std::string& name) { return archive == nullptr || archive->has(name); });
    for (retention::Candidate& backup : situation.backups) {
        backup.leased = staying.contains(backup.info.backup_id);
    }
    return retention::decide(situation.backups, situation.timelines, retention::policy_of(server), now);
}

class Expiry {
  public:
    Expiry(const config::Server& server, wal::WalArchive& archive, const Clock& clock)
        : server_(server), archive_(archive), clock_(clock) {}

    Expired run() {
        Expired expired;
        const Decision decision = decide();
        expired.next_change = decision.next_change;
        // Newest first: an increment before the backup that it needs.
        for (auto each = decision.backups.rbegin(); each != decision.backups.rend(); ++each) {
            if (each->goes() && remove(*each)) expired.backups.push_back(each->backup_id);
        }
        std::reverse(expired.backups.begin(), expired.backups.end());
        expired.wal_files = remove_wal();
        expired.again = !staying_.empty();
        return expired;
    }

  private:
    [[nodiscard]] Decision decide() const { return decide_with(server_, &archive_, clock_.now(), staying_); }

    bool remove(const Judgement& each) {
        try {
            catalogue::Catalogue(server_).mark_removed(each.backup_id);
            log_message(LogLevel::notice,
                        fmt::format("backup {} of server {} was deleted: {}", each.backup_id, server_.name, each.why),
                        {{"SERVER", server_.name}, {"BACKUP", each.backup_id}});
            return true;
        } catch (const Error& error) {
            staying_.insert(each.backup_id);
            log_warning("backup {} of server {} is obsolete and stays for now: {}", each.backup_id, server_.name,
                        error.what());
            return false;
        }
    }

    std::uint64_t remove_wal() {
        Decision decision = decide();
        if (released(decision).empty()) return 0;
        // From a backup that is good for itself alone a restore may be under way, to a moment further on.
        std::vector<catalogue::BackupLock> locks;
        for (const Judgement& each : decision.backups) {
            if (!each.standalone) continue;
            try {
                locks.emplace_back(server_, each.backup_id);
            } catch (const Error& error) {
                if (error.code() != ErrorCode::busy) throw;
                staying_.insert(each.backup_id);
            }
        }
        decision = decide();
        const std::vector<std::string> names = released(decision);
        if (names.empty()) return 0;
        kill_point("archiver.expire.wal");
        archive_.remove(names);
        log_info("server {}: {} WAL files that no backup needs were removed, the last is {}", server_.name,
                 names.size(), names.back());
        return names.size();
    }

    [[nodiscard]] std::vector<std::string> released(const Decision& decision) const {
        if (!decision.release) return {};
        return archive_.names_if([&](const std::string& name) { return decision.release->releases(name); });
    }

    const config::Server& server_;
    wal::WalArchive& archive_;
    const Clock& clock_;
    std::set<std::string> staying_;
};

}  // namespace

bool has_retention(const config::Server& server) {
    return server.wal_retention_window || config::RetentionPolicy::parse(server.retention_policy);
}

Decision decide_now(const config::Server& server, const wal::WalArchive* archive, const Clock& clock) {
    return decide_with(server, archive, clock.now(), {});
}

Expired expire(const config::Server& server, wal::WalArchive& archive, const Clock& clock) {
    if (!has_retention(server)) return {};
    return Expiry(server, archive, clock).run();
}

}  // namespace coffer::archiver
