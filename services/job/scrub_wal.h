#pragma once
// The WAL half of a scrub: proves the files of one folder of the archive after the other; what is damaged is set aside
// and, where another copy exists, replaced. One thread.
#include "lib/scrub/order.h"
#include "lib/scrub/wal_files.h"
#include "lib/wal/admission.h"
#include "services/job/scrub_pass.h"

namespace coffer::job {

class WalScrub {
  public:
    explicit WalScrub(ScrubPass& pass);

    // Damage that an earlier run found and could not mend.
    void look_again();
    [[nodiscard]] std::vector<scrub::Item> items() const;
    // due: to its end, else as far as the run's share goes.
    void prove(const scrub::Item& folder, bool due);
    // Notes the oldest proof that there is now.
    void finish();

  private:
    [[nodiscard]] bool needed(const scrub::FolderProof& proof, const scrub::WalFile& file) const;
    void prove(const std::string& folder, const scrub::WalFile& file);
    void check_index(const scrub::WalFile& file, const Path& path);
    void found(const std::string& name, std::string what);
    std::string mended_now(scrub::WalDamage& damage);
    [[nodiscard]] std::string set_aside_as(const std::string& name) const;
    [[nodiscard]] bool can_tell(const std::string& name) const;

    ScrubPass& pass_;
    const wal::KnownSystem known_;
    WallTime index_read_at_;
    std::optional<scrub::IndexedSizes> index_;
};

}  // namespace coffer::job
