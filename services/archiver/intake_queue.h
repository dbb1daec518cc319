#pragma once
// The files of one server that wait to be archived: which is next, which must wait, which are being worked on.
// Pure logic, without loop, threads or clock: the owner passes the time. Names are taken in their order, which for WAL
// is the order of time; two files of the same name (streamed and sent) never at once.
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/wal/archive.h"

namespace coffer::archiver {

class IntakeQueue {
  public:
    static constexpr std::chrono::seconds no_space_pause{5};
    static constexpr std::chrono::seconds unsettled_pause{2};
    static constexpr std::chrono::seconds failure_pause{10};

    // A file is there, or was written again. Names that are ignored (temporary ones, directories' own) do nothing.
    void found(const Path& file);
    // The next one to work on; nullopt when nothing can be done now.
    std::optional<Path> take(MonotonicTime now);
    // What became of it. Unless it is settled, it is taken again later.
    void finished(const Path& file, const wal::StoreOutcome& outcome, MonotonicTime now);

    [[nodiscard]] std::size_t waiting() const noexcept { return ready_.size() + later_.size(); }
    [[nodiscard]] std::size_t working() const noexcept { return working_.size(); }
    [[nodiscard]] bool out_of_space() const noexcept { return out_of_space_; }
    // When take() may have something that it has not now.
    [[nodiscard]] std::optional<MonotonicTime> next_change() const;

  private:
    void put_off(const Path& file, MonotonicTime until) { later_[file] = until; }

    std::set<std::pair<std::string, Path>> ready_;  // by name
    std::map<std::string, Path> working_;           // by name
    std::set<Path> again_;                          // being worked on, and written meanwhile
    std::map<Path, MonotonicTime> later_;
    std::optional<MonotonicTime> paused_until_;
    bool out_of_space_ = false;
};

}  // namespace coffer::archiver
