#pragma once
// What a WAL archive holds, in memory: 24 bytes for a segment, so that a million of them cost 24 MB.
// Values only; the owner locks.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/wal/segment_name.h"

namespace coffer::wal {

class ArchiveIndex {
  public:
    // The stored size of a name that is there already is replaced.
    void add(std::string_view name, std::uint64_t stored_size);
    void remove(std::string_view name);
    // All of them in one pass, as a backup that is deleted gives up its WAL: removed one by one, each would move all
    // entries behind it.
    void remove_all(const std::vector<std::string>& names);
    [[nodiscard]] bool has(std::string_view name) const;

    // The names, in their order, that a predicate picks out.
    [[nodiscard]] std::vector<std::string> names_if(const std::function<bool(const std::string&)>& wanted) const;

    // Complete segments only; the order is that of the names.
    [[nodiscard]] std::optional<std::string> first_segment() const;
    [[nodiscard]] std::optional<std::string> last_segment() const;
    [[nodiscard]] std::uint64_t segment_count() const noexcept { return segments_.size(); }
    // Of everything: segments, histories, labels, partial ones.
    [[nodiscard]] std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }

  private:
    struct Entry {
        TimelineId timeline;
        std::uint64_t number;  // the 16 digits behind the timeline: ordered as the names are, whatever the segment size
        std::uint64_t stored_size;
    };
    static std::optional<Entry> entry_of(std::string_view name, std::uint64_t stored_size);
    static std::string name_of(const Entry& entry);
    static bool before(const Entry& a, const Entry& b) noexcept;

    std::vector<Entry> segments_;  // sorted
    std::map<std::string, std::uint64_t, std::less<>> others_;
    std::uint64_t stored_bytes_ = 0;
};

}  // namespace coffer::wal
