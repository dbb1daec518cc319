#pragma once
// The command lines of rsync, and what its end means.
//
// Source: rsync(1), "EXIT VALUES". Pure functions.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/program.h"

namespace coffer::rsync {

struct Source {
    std::vector<std::string> ssh;  // ssh_words(); empty: this machine
    std::string directory;         // absolute, there
};

// Lists a directory with all below it; links are followed. leave_out: patterns for --exclude.
std::vector<std::string> list_command(const Source& source, const std::vector<std::string>& leave_out);

struct CopyOptions {
    bool in_place = false;  // false: a file that differs becomes a new file, and whoever shares the old one keeps it
    bool compare_content = false;  // not only size and time
    bool compress = false;
    std::uint64_t limit_kb = 0;  // kB/s, 0: none
};
// Copies the files that are named on its standard input (each name ended by a zero byte) into an existing directory.
// Missing ones are passed over.
std::vector<std::string> copy_command(const Source& source, const std::string& to, const CopyOptions& options);

// For every rsync: output that can be read, whatever the machine's language and zone.
std::vector<std::string> environment();

// nullopt: it did what it should, though files may have vanished meanwhile. retry: another attempt may help.
struct Failure {
    Error error;
    bool retry = false;
};
std::optional<Failure> failure_of(const ProgramEnd& end, const std::string& where);

}  // namespace coffer::rsync
