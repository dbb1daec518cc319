#pragma once
// Copying a directory tree fast: several threads, and the cheapest way the file systems offer: a reflink, else the
// kernel's own copy, else read and write. Nothing is synced here: one syncfs at the end costs less than one fsync per
// file.
//
// Files and directories are made (target_files.h) with the modes that PostgreSQL demands (0600, 0700) and the owner
// given, whatever the source has, so that nothing is readable by others even for a moment. Symbolic links and special
// files are not copied (tablespace links are made anew by the caller). Where a checksum is known, the very bytes that
// are written (with a reflink: those that are shared, unless the file system guards them) are held against it: reading
// costs little beside what a bad page costs later. Errors: io, no_space, permission_denied, canceled, corrupt (naming
// the file).
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/restore/target_files.h"

namespace coffer::restore {

struct TreeEntry {
    std::string path;  // relative to the root of the tree
    std::uint64_t size = 0;
    bool directory = false;
    std::optional<std::uint32_t> crc32c{};  // what its content must have; what is copied is held against it
};

struct Tree {
    Path source;
    Path target;
    std::string prefix;              // of its paths in the backup manifest: "pg_tblspc/16384/", or empty
    std::vector<TreeEntry> entries;  // a directory before what is in it
    bool guarded = false;            // its files need no reading when they are reflinked: guard.h
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
};

// Reads the tree below source. excluded: relative paths left out, with all below them when they are directories.
Tree list_tree(const Path& source, const Path& target, const std::function<bool(const std::string&)>& excluded);

// Shared by the threads of one restore.
struct CopyControl {
    std::optional<Owner> owner;
    unsigned jobs = 2;
    std::function<void(std::uint64_t bytes)> copied;  // called by any thread, often
    std::function<bool()> canceled;                   // asked by any thread, often
    // Says more about a file whose checksum is wrong (which pages); called by any thread. May be empty.
    std::function<std::string(const Tree&, const TreeEntry&)> explain;
};

// Throws canceled when control.canceled says so.
void check_canceled(const CopyControl& control);

// Copies all of it. source and target of each tree are there already (target empty, as real_path() gives it).
void copy_trees(const std::vector<Tree>& trees, const CopyControl& control);
// One file, in this thread; held against the checksum if there is one.
void copy_file(const Tree& tree, const TreeEntry& entry, const Path& target, const CopyControl& control);
// Throws corrupt, naming the file.
void require_same(const Tree& tree, const TreeEntry& entry, std::uint64_t size, std::uint32_t crc32c,
                  const CopyControl& control);

// Runs work(index) for 0 .. count - 1 in control.jobs threads; the first exception stops the others and is thrown.
void run_parallel(std::size_t count, const CopyControl& control, const std::function<void(std::size_t)>& work);

// Can this file be reflinked into that directory? Tries it with a file that has no name.
bool can_reflink(const Path& source_file, const Path& target_directory);

}  // namespace coffer::restore
