#pragma once
// The WAL half of a scrub: proves the files of one folder of the archive after the other; what is damaged is set aside
// and, where another copy exists, replaced. One thread.
#include <optional>
#include <string>
#include <unordered_set>

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
    bool prove(const std::string& folder, const scrub::WalFile& file);
    void check_index(const scrub::WalFile& file, const Path& path);
    void found(const std::string& name, std::string what);
    std::string mended_now(scrub::WalDamage& damage);
    [[nodiscard]] std::string set_aside_as(const std::string& name) const;
    // Is it whole after all, and in the archive again?
    bool brought_back(const scrub::WalDamage& damage, std::string& why);
    [[nodiscard]] bool known_form(const std::string& name);
    void judge(const Path& path, const scrub::WalFile& file);

    ScrubPass& pass_;
    const wal::KnownSystem known_;                                // what the archiver admits
    std::optional<std::unordered_set<std::string>> known_forms_;  // by the index, read when first needed
    std::size_t not_judged_ = 0;                                  // files that the archiver could not read either
    WallTime index_read_at_;
    std::optional<scrub::IndexedSizes> index_;
};

}  // namespace coffer::job
