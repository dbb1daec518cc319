#pragma once
// Sums over the index of a WAL archive (xlogdb.h) that do not need its lines in memory: a million of them take two
// hundredths of a second. Lines that are none are passed over. Large indexes are read in several threads.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/files.h"

namespace coffer::wal {

struct XlogEntry {
    std::string_view name;  // whatever the line begins with: see kind_of()
    std::uint64_t size = 0;
    std::string_view modified;
};
// In the order of the file, whose absence is an empty index. Throws io.
void scan_xlogdb(const Path& path, const std::function<void(const XlogEntry&)>& handler);

// Of segments only, between names that must be known before the index is read.
class XlogTally {
  public:
    struct Sum {
        std::uint64_t files = 0;
        std::uint64_t bytes = 0;  // stored
        std::string first, last;  // by name; empty: there is none
        WallTime first_modified;  // of these
        WallTime last_modified;
    };
    // names: in any order; what can be asked for later. They need not be in the index. Throws io.
    XlogTally(const Path& path, std::vector<std::string> names);

    [[nodiscard]] Sum all() const;
    // from <= name <= to. Both must be among the names.
    [[nodiscard]] Sum within(std::string_view from, std::string_view to) const;
    // from < name <= to
    [[nodiscard]] Sum after(std::string_view from, std::string_view to) const;
    // Is there a line of this name? False for one that is not among the names.
    [[nodiscard]] bool has(std::string_view name) const;

  private:
    // What a sum tells of one line.
    struct Mark {
        char name[24], modified[31];
        std::uint8_t modified_size = 0;
        void set(const XlogEntry& entry);
        [[nodiscard]] std::string_view name_text() const { return {name, sizeof name}; }
        [[nodiscard]] std::string_view modified_text() const { return {modified, modified_size}; }
    };
    // Class 2i+1 is the name i itself, class 2i what lies before it (and behind the one before).
    struct Class {
        std::uint64_t files = 0, bytes = 0;
        Mark first, last;  // by name
    };
    struct Before {
        std::uint64_t files = 0, bytes = 0;
    };
    class Part;  // of the file
    void sum_up();
    [[nodiscard]] std::size_t place_of(std::string_view name) const;
    [[nodiscard]] Sum sum(std::size_t from_class, std::size_t to_class) const;  // both included

    std::vector<std::string> names_;  // in order
    std::vector<Class> classes_;
    std::vector<Before> before_;  // of each class, what those before it have; and the whole
};

}  // namespace coffer::wal
