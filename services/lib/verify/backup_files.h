#pragma once
// The files of a backup on disk, under the names that a manifest gives them. Thread-safe.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lib/catalogue/catalogue.h"

namespace coffer::verify {

// Not of a backup, and nobody's loss: what pg_verifybackup leaves out as well.
bool is_left_out(std::string_view path) noexcept;

// Is its data directory there at all? What is wrong otherwise ("is no data directory any more"). Throws io where that
// cannot be told now.
std::optional<std::string> fault_of_data(const catalogue::Catalogue& catalogue, std::string_view backup_id);

class BackupFiles {
  public:
    // Throws not_supported for what is no plain data directory of its own: Barman's tar format and increments.
    BackupFiles(const config::Server& server, const catalogue::BackupInfo& backup);  // both must outlive it

    // Tablespaces lie beside the data directory, whatever their links say.
    [[nodiscard]] Path place_of(const std::string& path) const;
    [[nodiscard]] Path manifest() const { return place_of("backup_manifest"); }
    // All but what is left out. A symbolic link has size 0. Throws io; corrupt
    // where the file system says that a directory is damaged.
    void for_each(const std::function<void(const std::string& path, std::uint64_t size)>& take) const;

  private:
    void walk(const Path& root, const std::string& prefix,
              const std::function<void(const std::string&, std::uint64_t)>& take) const;

    const catalogue::Catalogue catalogue_;
    const std::string backup_id_;
};

}  // namespace coffer::verify
