#pragma once
// The files of a server's data directory and tablespaces, copied by rsync (ssh, or on this machine) into base/<ID>.
//
// Several rsync at once, each with a list of about as many bytes. A file whose size and time are those of the older
// image that the tree began as is taken for unchanged only where it was last written before that image's backup
// began, by the server's own clock; all others are compared page by page. Where blocks can be shared rsync writes
// only the pages that differ, in place; where files are shared as hard links a changed file becomes a new one.
//
// Errors: those of lib/rsync/command.h; canceled. One thread calls.
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/catalogue/backup_info.h"
#include "lib/config/config.h"
#include "lib/image/copied_tree.h"
#include "lib/rsync/command.h"
#include "lib/rsync/selection.h"

namespace coffer::job {

struct RsyncRoot {
    std::string directory;       // on the server
    std::string prefix;          // of paths below PGDATA: "", "pg_tblspc/16384/PG_15_202209061/"
    Path tree;                   // here
    std::uint64_t limit_kb = 0;  // of its own; 0: it shares that of all
};

struct RsyncPlan {
    std::vector<RsyncRoot> roots;                  // the data directory is the first
    std::vector<std::string> configuration_files;  // outside of the data directory
    std::int64_t unchanged_before =
        0;  // seconds since 1970 of the server: older files of the same size and time are unchanged
    std::set<std::string> doubtful;  // paths that are compared in any case
    bool in_place = false;
};

class RsyncCopy {
  public:
    RsyncCopy(const config::Server& server, RsyncPlan plan, image::CopiedTree& tree, int stop_fd);

    // Asks what there is, and makes the tree ready for it.
    void prepare();
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }  // of all files that there are to copy

    // copied: another file is right, so many bytes; called by several threads, one after the other. What it throws ends
    // the copy.
    using Copied = std::function<void(std::uint64_t bytes)>;
    void copy(const Copied& copied);
    // Some files again, whose pages were being written when they were read.
    void copy_again(const std::vector<std::string>& paths);
    // pg_control, which has to be the last.
    void copy_control();

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }  // bytes
    [[nodiscard]] std::uint64_t written_files() const noexcept {
        return written_files_;
    }  // bytes of files that were not right

  private:
    struct Part {
        const RsyncRoot* root = nullptr;
        std::vector<rsync::Listed> files;
        rsync::CopyOptions options;
    };
    std::vector<rsync::Listed> list(const RsyncRoot& root) const;
    void run_part(const Part& part, const Copied& copied);
    void attempt(const Part& part, std::set<std::string>& done, const Copied& copied);
    void copy_configuration_files();
    void wait_for_start();
    void take(const std::pair<const std::string, std::uint64_t>& listed, const rsync::Transferred& file,
              std::set<std::string>& done, const Copied& copied);
    [[nodiscard]] rsync::Source source_of(const std::string& directory) const;
    [[nodiscard]] const RsyncRoot& root_of(const std::string& path) const;
    void pause(std::chrono::milliseconds time) const;

    const config::Server& server_;
    const RsyncPlan plan_;
    image::CopiedTree& tree_;
    const int stop_fd_;
    std::vector<std::string> ssh_;
    std::vector<Part> parts_;
    std::optional<std::int64_t> control_time_;  // of pg_control, when it was listed
    std::uint64_t bytes_ = 0, received_ = 0, written_files_ = 0;
    std::atomic<bool> failed_ = false;  // one of several at once
    std::mutex mutex_;
    std::size_t started_ = 0;  // of rsync, for the pace of starts
    std::chrono::steady_clock::time_point first_start_;
};

}  // namespace coffer::job
