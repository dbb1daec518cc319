#pragma once
// What list-backups, show-backup, status and diagnose say of backups: each with its neighbours, the WAL that belongs to
// it and the verdict of the retention policy.
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/catalogue/catalogue.h"
#include "lib/retention/retention.h"
#include "lib/wal/xlogdb.h"
#include "lib/wal/xlogdb_tally.h"

namespace coffer::cofferctl {

// WAL from one backup to the next, as Barman counts it: that of the backup itself (begin to end) is part of its size,
// what follows up to the end of the next backup is "its" WAL.
struct WalFigures {
    std::uint64_t within_files = 0;  // needed by the backup itself
    std::uint64_t within_bytes = 0;  // stored
    std::uint64_t after_files = 0;
    std::uint64_t after_bytes = 0;
    double per_second = 0;    // 0: not known
    double within_saved = 0;  // by compression: 0.75 of four bytes are one
    double after_saved = 0;
    std::string last;  // last segment, empty when none
};

// Barman's word: "full", "incremental", "rsync", "snapshot".
std::string_view type_of(const catalogue::BackupInfo& backup);

class CatalogueView {
  public:
    explicit CatalogueView(const config::Server& server);

    [[nodiscard]] const std::vector<catalogue::BackupInfo>& backups() const noexcept {
        return backups_;
    }  // oldest first
    // The DONE one before or after that; nullptr when there is none.
    [[nodiscard]] const catalogue::BackupInfo* previous(const catalogue::BackupInfo& backup) const;
    [[nodiscard]] const catalogue::BackupInfo* next(const catalogue::BackupInfo& backup) const;
    [[nodiscard]] WalFigures wal_of(const catalogue::BackupInfo& backup) const;
    // Everything in the archive.
    [[nodiscard]] wal::XlogTally::Sum all_wal() const { return wal().all(); }
    // What the retention policy decides of these backups at this moment (lib/retention): looked at once.
    [[nodiscard]] const retention::Decision& decision() const;
    [[nodiscard]] const retention::Judgement& judgement_of(const catalogue::BackupInfo& backup) const;
    // "VALID", "OBSOLETE", "OBSOLETE*", "KEEP:FULL", "KEEP:STANDALONE", "TIER:MONTHLY", "-" where the policy says
    // nothing.
    [[nodiscard]] std::string retention_of(const catalogue::BackupInfo& backup) const;
    // What the scrub found of it and is not mended.
    [[nodiscard]] bool is_damaged(const catalogue::BackupInfo& backup) const;
    [[nodiscard]] std::size_t done_count() const;
    // Without incremental ones of Barman: what minimum_redundancy is about.
    [[nodiscard]] std::size_t full_count() const;
    [[nodiscard]] const catalogue::BackupInfo* first_done() const;
    [[nodiscard]] const catalogue::BackupInfo* last_done() const;

  private:
    const config::Server& server_;
    std::vector<catalogue::BackupInfo> backups_;
    // Read when it is asked for: a list of IDs does not need it.
    [[nodiscard]] const wal::XlogTally& wal() const;
    mutable std::optional<wal::XlogTally> wal_;
    mutable std::optional<retention::Decision> decision_;
    mutable std::set<std::string> damaged_;  // once decision_ is there
};

}  // namespace coffer::cofferctl
