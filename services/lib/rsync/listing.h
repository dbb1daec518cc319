#pragma once
// What "rsync --list-only" prints, line by line: the files of a directory on another host.
//
// Format: rsync(1), --list-only, with --no-human-readable and in the locale C: permissions, size, date, time (UTC, by
// TZ) and name; bytes of the name that are not printable as "\#ooo" (octal), and so a backslash before such a thing.
// Foreign bytes: parse_listing_line throws protocol, never anything else. Pure functions.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer::rsync {

struct Listed {
    bool directory = false;
    mode_t mode = 0;         // the nine bits
    std::uint64_t size = 0;  // bytes
    std::int64_t mtime = 0;  // seconds since 1970
    std::string path;        // relative to the directory that was listed; "." itself
};

// nullopt for what is neither file nor directory (a link without a target, a socket).
std::optional<Listed> parse_listing_line(std::string_view line);

// A name as rsync prints it, as it is.
std::string plain_name(std::string_view printed);

// One line of a transfer with --out-format="%i %b %n" and --itemize-changes twice.
struct Transferred {
    bool written = false;     // false: what is here was right already
    std::uint64_t bytes = 0;  // that came over the connection
    std::string path;
};
// nullopt for what is no file (directories, statistics).
std::optional<Transferred> parse_transfer_line(std::string_view line);

}  // namespace coffer::rsync
