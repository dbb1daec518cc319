#pragma once
// Copying a directory tree fast: several threads, by file and by range of a large one, and the cheapest way the file
// systems offer: a reflink, else the kernel's own copy, else read and write. Holes stay holes. Nothing is synced here:
// one syncfs at the end costs less than one fsync per file.
//
// Onto a tree that is there already (CopyControl::delta) only pages that differ are written, into files that have no
// other name; anything else in their place is replaced (existing_tree.h removes what is not wanted at all).
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
#include <set>
#include <string>
#include <vector>

#include "lib/base/files.h"
#include "lib/restore/target_files.h"

namespace coffer::restore {

struct TreeEntry {
    std::string path;  // relative to the root of the tree
    std::uint64_t size = 0;
    bool directory = false;
    bool zeros = false;                     // becomes a file of this size that is nothing but a hole: databases.h
    std::optional<std::uint32_t> crc32c{};  // what its content must have; what is copied is held against it
};

struct Tree {
    Path source;
    Path target;
    std::string prefix;              // of its paths in the backup manifest: "pg_tblspc/16384/", or empty
    std::vector<TreeEntry> entries;  // a directory before what is in it
    std::set<std::string> spared{};  // at the target, left alone when it is there already (existing_tree.h)
    bool guarded = false;            // its files need no reading when they are reflinked: guard.h
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
};

// Reads the tree below source. excluded: relative paths left out, with all below them when they are directories.
Tree list_tree(const Path& source, const Path& target, const std::function<bool(const std::string&)>& excluded);

// What a copy onto existing files did, in bytes of the backup. Shared by its threads.
struct DeltaCounts {
    std::atomic<std::uint64_t> read{0};     // and compared with what was there, or new
    std::atomic<std::uint64_t> equal{0};    // of these: were there already
    std::atomic<std::uint64_t> written{0};  // of these: differed, or were missing
    std::atomic<std::uint64_t> shared{0};   // came by reflink, whatever was there
};

// Shared by the threads of one restore.
struct CopyControl {
    std::optional<Owner> owner;
    unsigned jobs = 2;
    std::function<void(std::uint64_t bytes)> copied;  // called by any thread, often
    std::function<bool()> canceled;                   // asked by any thread, often
    // Says more about a file whose checksum is wrong (which pages); called by any thread. May be empty.
    std::function<std::string(const Tree&, const TreeEntry&)> explain;
    DeltaCounts* delta = nullptr;  // set: the targets may hold files, which are compared
};

// Throws canceled when control.canceled says so.
void check_canceled(const CopyControl& control);

// Copies all of it. source and target of each tree are there already (as real_path() gives it; target empty, but for a
// delta).
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
