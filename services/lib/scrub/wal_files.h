#pragma once
// What lies in the WAL archive, folder by folder, so that a million segments are never listed at once.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/config/config.h"
#include "lib/scrub/order.h"
#include "lib/scrub/state.h"

namespace coffer::scrub {

struct WalFile {
    std::string name;
    std::uint64_t stored_size = 0;
    WallTime changed{};  // ctime
};

// The folders below wals/ that hold WAL; "" for the histories.
std::vector<std::string> wal_folders(const config::Server& server);
// WAL files of a folder by name; none where it is gone. Throws io.
std::vector<WalFile> wal_files(const config::Server& server, const std::string& folder);
// As a thing to prove; nullopt: there is nothing in it.
std::optional<Item> wal_item(const std::string& folder, const std::vector<WalFile>& files, const FolderProof& proof);

// What xlog.db says of segments, as it was when it was read: 32 bytes for each.
class IndexedSizes {
  public:
    explicit IndexedSizes(const config::Server& server);
    // nullopt: there is no line of this name.
    [[nodiscard]] std::optional<std::uint64_t> size_of(const std::string& name) const;

  private:
    struct Line {
        std::array<char, 24> name;
        std::uint64_t size;
    };
    std::vector<Line> lines_;  // in order
};

}  // namespace coffer::scrub
