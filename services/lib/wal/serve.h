#pragma once
// Gives out one WAL file of this box: decompressed, whole, from wherever it lies.
//
// An unfinished segment, where it is allowed, must begin as what its name says, and is filled with zeros to the full
// size of a segment, which is how PostgreSQL itself has it on disk. A finished one is checked on its way, against what
// the archiver found (proof.h) or page by page and record by record: recovery takes a damaged record for the end of the
// log, and would leave out all that follows without a word. A file that the archiver moves between finding and reading
// is looked for again. Thread-safe.
#include <optional>
#include <string>
#include <vector>

#include "lib/config/config.h"
#include "lib/wal/codec.h"

namespace coffer::wal {

struct ServeOptions {
    bool allow_partial = false;
    bool keep_compression = false;                                  // the bytes as they are stored
    Codec compress_with = Codec::none;                              // the bytes compressed again
    std::optional<std::uint64_t> system_identifier = std::nullopt;  // that segments must have
};

// False when it is not held here. Throws corrupt, io, no_space. Writes from the present position of fd; destination is
// for errors only. After an exception the bytes written so far are worthless.
bool serve_to(const config::Server& server, const std::string& name, const ServeOptions& options, int fd,
              const Path& destination);

// The same into a file that appears whole or not at all (temporary name beside it, rename). Not synced: PostgreSQL
// syncs what its restore_command brought before it relies on it.
bool serve_to_file(const config::Server& server, const std::string& name, const ServeOptions& options,
                   const Path& destination);

// The first segment held behind one that is absent or unfinished, on its timeline. nullopt when there is none, or when
// the timeline began behind it or within the segment in front (then it was never there).
std::optional<std::string> held_behind(const config::Server& server, const std::string& name, bool allow_partial);

// Up to count names from the segment on that are held without a hole, the segment itself included. Empty when it is not
// held.
std::vector<std::string> names_held_from(const config::Server& server, const std::string& name, std::size_t count,
                                         bool allow_partial);

}  // namespace coffer::wal
