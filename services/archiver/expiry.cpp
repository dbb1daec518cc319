#include "services/archiver/expiry.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/catalogue/catalogue.h"
#include "lib/retention/candidates.h"
#include "services/archiver/hooked_removal.h"
#include "services/archiver/hooked_wal.h"

namespace coffer::archiver {
namespace {

using retention::Decision;
using retention::Judgement;
using retention::Situation;

// Files removed in one step, behind which the service's end, or a new configuration, has to wait.
constexpr std::size_t wal_at_once = 50000;

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
    Expiry(const config::Server& server, wal::WalArchive& archive, const Clock& clock, const hooks::Stop& stop)
        : server_(server), archive_(archive), now_(clock.now()), stop_(stop) {}

    Expired run() {
        Expired expired;
        const Decision decision = decide();
        expired.next_change = decision.next_change;
        // Newest first: an increment before the backup that it needs.
        for (auto each = decision.backups.rbegin(); each != decision.backups.rend() && !stop_.asked(); ++each) {
            if (each->goes() && remove(*each)) expired.backups.push_back(each->backup_id);
        }
        std::reverse(expired.backups.begin(), expired.backups.end());
        expired.wal_files = remove_wal();
        expired.again = !staying_.empty();
        return expired;
    }

  private:
    [[nodiscard]] Decision decide() const { return decide_with(server_, &archive_, now_, staying_); }

    bool remove(const Judgement& each) {
        try {
            remove_backup(server_, catalogue::Catalogue(server_).get(each.backup_id), stop_);
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
        std::vector<std::string> names;
        while (!settle(names)) {
        }
        if (names.empty()) return 0;
        kill_point("archiver.expire.wal");
        std::size_t done = 0;
        std::size_t removed = 0;
        while (done < names.size() && !stop_.asked()) {
            const std::size_t end = std::min(names.size(), done + wal_at_once);
            removed += remove_with_hooks(
                archive_,
                {names.begin() + static_cast<std::ptrdiff_t>(done), names.begin() + static_cast<std::ptrdiff_t>(end)},
                stop_);
            done = end;
        }
        if (removed > 0) {
            log_info("server {}: {} WAL files that no backup needs were removed, up to {}", server_.name, removed,
                     names[done - 1]);
        }
        return removed;
    }

    // What WAL goes, when nothing stands in the way of it any more; false: something new did, so it is decided anew.
    bool settle(std::vector<std::string>& names) {
        const Decision decision = decide();
        names = released(decision);
        if (names.empty()) return true;
        bool settled = true;
        for (const Judgement& each : decision.backups) {
            if (staying_.contains(each.backup_id)) continue;
            // It was not obsolete a moment ago: it is still there.
            if (each.goes() || (each.standalone && !lock(each.backup_id))) {
                staying_.insert(each.backup_id);
                settled = false;
            }
        }
        return settled;
    }

    // From a backup that is good for itself alone a restore may be under way, to a moment further on.
    bool lock(const std::string& backup_id) {
        if (locks_.contains(backup_id)) return true;
        try {
            locks_.emplace(backup_id, catalogue::BackupLock(server_, backup_id));
            return true;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::busy && error.code() != ErrorCode::not_supported) throw;
            return false;
        }
    }

    [[nodiscard]] std::vector<std::string> released(const Decision& decision) const {
        if (!decision.release) return {};
        return archive_.names_if([&](const std::string& name) { return decision.release->releases(name); });
    }

    const config::Server& server_;
    wal::WalArchive& archive_;
    const WallTime now_;  // the same throughout
    const hooks::Stop& stop_;
    std::set<std::string> staying_;
    std::map<std::string, catalogue::BackupLock> locks_;
};

}  // namespace

bool has_retention(const config::Server& server) {
    return server.wal_retention_window || config::RetentionPolicy::parse(server.retention_policy);
}

Decision decide_now(const config::Server& server, const wal::WalArchive* archive, const Clock& clock) {
    return decide_with(server, archive, clock.now(), {});
}

Expired expire(const config::Server& server, wal::WalArchive& archive, const Clock& clock, const hooks::Stop& stop) {
    if (!has_retention(server)) return {};
    return Expiry(server, archive, clock, stop).run();
}

}  // namespace coffer::archiver
