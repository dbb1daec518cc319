#pragma once
// xlog.db: the index of a WAL archive that Barman reads (its list of which WAL a backup needs comes from nothing else).
//
// Format, by the behaviour of Barman 3.4 and its documentation up to 3.20: one line for each file, fields separated by
// tabs: name, stored size, modification time (seconds, with a fraction), compression ("None" when plain), and from 3.13
// on encryption. Both versions read lines of four fields, so that is what is written; a fifth that was there is kept.
//
// The file: up to 3.12 wals_directory/xlog.db, later xlogdb_directory/SERVER-xlog.db, which is made from the archive
// when it is absent. Ours is the newer name where such a file exists or xlogdb_directory is set, else the older one,
// which every version takes over.
//
// Lines are in the order of their names, which is the one that Barman writes when it makes the file itself (the history
// of a timeline stands before its first segment): it reads on for a backup only until the first segment behind the
// backup's end, so that a line further down would be missed.
//
// The index is derived: what lies on disk wins, and the archive is scanned when it is opened (archive.h). One writer at
// a time.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/config/config.h"

namespace coffer::wal {

struct XlogLine {
    std::string name;
    std::uint64_t size = 0;  // stored, in bytes
    WallTime modified;
    std::string compression;  // Barman's name; empty: none
    std::string encryption;   // empty: none

    // nullopt when it is no line that Barman could have written. Without the newline.
    static std::optional<XlogLine> parse(std::string_view line);
    [[nodiscard]] std::string format() const;  // with the newline
};

struct XlogContent {
    std::vector<XlogLine> lines;
    std::size_t unreadable = 0;  // lines that are none: torn by a crash, or edited by hand
};

Path xlogdb_path(const config::Server& server);
// Absence is an empty index. Throws io.
XlogContent read_xlogdb(const Path& path);
// Durable when it returns. When it throws (no_space, io) the file is as it was before.
void append_xlogdb(const Path& path, std::span<const XlogLine> lines);
// Whether all lines of the file come before this name, as far as its last one tells; false when that is torn.
bool ends_before(const Path& path, std::string_view name);
// Puts the lines into the order of their names; of several with one name the last counts. The whole file is replaced
// (half a second for a million lines), durably; nothing is written when it is in order; as before when it throws.
void order_xlogdb(const Path& path);
// Replaces the whole index durably; the old one stays when it throws.
void write_xlogdb(const Path& path, std::span<const XlogLine> lines);

// The line of a file in the archive: what it is, read from its inode and first bytes. nullopt when it has gone.
// beginning: gets these first bytes, as many as the header of a segment has.
std::optional<XlogLine> describe_archived(const Path& file, std::vector<std::byte>* beginning = nullptr);

}  // namespace coffer::wal
