#pragma once
// The image half of a scrub: proves the files of one backup after the other. What is damaged is noted with every backup
// that shares it, and mended where another backup has the same file on other bytes. One thread.
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "lib/catalogue/backup_lock.h"
#include "lib/scrub/order.h"
#include "lib/scrub/shared_bytes.h"
#include "lib/verify/wanted_files.h"
#include "services/job/scrub_pass.h"

namespace coffer::job {

class ImageScrub {
  public:
    explicit ImageScrub(ScrubPass& pass) : pass_(pass) {}

    // Records of backups that cannot be read, or are two that differ. Done in every run.
    void check_records();
    // Damage that an earlier run found and could not mend.
    void look_again();
    [[nodiscard]] std::vector<scrub::Item> items() const;
    // due: to its end, else as far as the run's share goes.
    void prove(const scrub::Item& image, bool due);
    // Of all that is held: the oldest proof, and how many backups are damaged.
    void finish();

  private:
    using Backup = catalogue::BackupInfo;
    void with_lease(const Backup& backup, const std::function<void()>& work);
    [[nodiscard]] std::optional<catalogue::BackupLease> lease_of(const Backup& backup) const;
    void check_record(const std::string& backup_id);
    [[nodiscard]] std::string fault_of_record(const Backup& backup) const;
    void prove(const Backup& backup, bool due);
    std::optional<verify::FileList> list(const Backup& backup);
    [[nodiscard]] std::optional<verify::Finding> look_at(const Backup& backup, const verify::BackupFiles& files,
                                                         const verify::WantedFile& file);
    std::optional<verify::Content> content_of(int fd, const Path& path, const verify::WantedFile& file,
                                              const Backup& backup);
    void found(const Backup& backup, const verify::WantedFile* file, verify::Finding finding);
    void found_in_sharers(const Backup& backup, const verify::BackupFiles& files, const verify::WantedFile& file,
                          ScrubFinding& finding);
    [[nodiscard]] bool shares(const Backup& other, const std::string& path, const scrub::ByteMap& damaged) const;
    [[nodiscard]] bool copied_so(const std::string& backup_id, const verify::Finding& finding) const;
    void tell(ScrubFinding finding);
    bool mend(const Backup& backup, const verify::WantedFile& file, ScrubFinding& finding);
    void look_again(const Backup& backup);
    void note(const std::string& backup_id, const verify::Finding& finding);
    void clear(const std::string& backup_id, const std::string& path);
    void update(const std::string& backup_id, const std::function<void(catalogue::Extra&)>& change);
    void finished(const Backup& backup, WallTime begun);

    ScrubPass& pass_;
    std::map<std::string, verify::Content> read_;  // by ByteMap::key() and the kind of checksum: what this run has read
};

}  // namespace coffer::job
