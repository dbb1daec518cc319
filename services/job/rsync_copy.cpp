#include "services/job/rsync_copy.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/image/tree_writer.h"
#include "lib/rsync/listing.h"
#include "lib/rsync/ssh_words.h"
#include "services/job/request.h"

namespace coffer::job {
namespace {

constexpr const char* control_file = "global/pg_control";
constexpr int most_attempts_to_read = 4;  // files that are written to while they are read

std::uint64_t share_of(std::uint64_t limit_kb, unsigned jobs) {
    return limit_kb == 0 ? 0 : std::max<std::uint64_t>(1, limit_kb / jobs);
}

}  // namespace

RsyncCopy::RsyncCopy(const config::Server& server, RsyncPlan plan, image::CopiedTree& tree, int stop_fd)
    : server_(server), plan_(std::move(plan)), tree_(tree), stop_fd_(stop_fd) {
    if (server_.backup_method == config::BackupMethod::rsync) ssh_ = rsync::ssh_words(server_.ssh_command);
}

rsync::Source RsyncCopy::source_of(const std::string& directory) const {
    return {ssh_, directory};
}

std::vector<rsync::Listed> RsyncCopy::list(const RsyncRoot& root) const {
    std::vector<std::string> leave_out;
    if (root.prefix.empty()) {
        leave_out = {"/pg_wal/*", "/pg_xlog/*", "/pg_replslot/*", "/pg_tblspc/*"};
        leave_out.emplace_back("pgsql_tmp*");
    }
    for (std::uint32_t attempt = 0;; ++attempt) {
        std::vector<rsync::Listed> listed;
        Program program{
            rsync::list_command(source_of(root.directory), leave_out), rsync::environment(), {}, stop_fd_, {}};
        program.output = [&](std::string_view line) {
            auto entry = rsync::parse_listing_line(line);
            if (!entry || entry->path == ".") return;
            if (!image::is_safe_path(entry->path)) {
                throw Error(ErrorCode::protocol, "the server has a file with an unsafe name", entry->path);
            }
            entry->path = root.prefix + entry->path;
            if (rsync::is_part_of_backup(entry->path, entry->directory)) listed.push_back(std::move(*entry));
        };
        const auto failure = rsync::failure_of(run_program(program), root.directory);
        if (!failure) return listed;
        if (!failure->retry || attempt >= server_.basebackup_retry_times) throw failure->error;
        log_warning("server {}: {}; trying again", server_.name, failure->error.what());
        pause(server_.basebackup_retry_sleep);
    }
}

void RsyncCopy::prepare() {
    parts_.clear();
    const unsigned jobs = std::max(1U, server_.parallel_jobs);
    for (const RsyncRoot& root : plan_.roots) {
        std::vector<rsync::Listed> all = list(root), trusted, doubtful;
        for (const rsync::Listed& entry : all) {
            if (entry.directory) tree_.add_directory(entry.path, entry.mode);
        }
        std::erase_if(all, [](const rsync::Listed& entry) { return entry.directory; });
        rsync::leave_out_unlogged(all);
        for (rsync::Listed& file : all) {
            if (file.path == control_file) {  // comes last, and until then the tree has none
                control_time_ = file.mtime;
                continue;
            }
            tree_.add_file(file.path, file.mtime);
            bytes_ += file.size;
            const bool trust = file.mtime < plan_.unchanged_before && !plan_.doubtful.contains(file.path);
            (trust ? trusted : doubtful).push_back(std::move(file));
        }
        const std::uint64_t limit = root.limit_kb != 0 ? root.limit_kb : server_.bandwidth_limit_kb;
        for (const bool compare : {false, true}) {
            for (auto& share : rsync::shared_out(std::move(compare ? doubtful : trusted), jobs)) {
                parts_.push_back({&root,
                                  std::move(share),
                                  {plan_.in_place, compare, server_.network_compression, share_of(limit, jobs)}});
            }
        }
    }
    if (!control_time_) {
        throw Error(ErrorCode::corrupt, "there is no pg_control in the data directory", plan_.roots.front().directory,
                    "is ssh_command that of the server that conninfo names?");
    }
    // PostgreSQL does not start without it, and makes what is in it.
    tree_.add_directory("pg_wal", 0700);
    tree_.add_directory("pg_wal/archive_status", 0700);
    tree_.make_ready();
}

void RsyncCopy::copy(const Copied& copied) {
    run_parallel(parts_.size(), server_.parallel_jobs, [&](std::size_t i) {
        try {
            run_part(parts_[i], copied);
        } catch (...) {
            failed_ = true;  // the others end with their next file
            throw;
        }
    });
    copy_configuration_files();
}

void RsyncCopy::run_part(const Part& part, const Copied& copied) {
    std::set<std::string> done;  // paths
    std::uint32_t retries = 0;
    for (int reads = 1;;) {
        try {
            attempt(part, done, copied);
            break;
        } catch (const Error& error) {
            const bool lost = error.code() == ErrorCode::server_unreachable;
            if (lost ? retries++ >= server_.basebackup_retry_times
                     : error.code() != ErrorCode::busy || reads++ >= most_attempts_to_read) {
                throw;
            }
            log_warning("server {}: {}; going on behind {} files that are here", server_.name, error.what(),
                        done.size());
            if (lost) pause(server_.basebackup_retry_sleep);
        }
    }
    const std::lock_guard lock(mutex_);
    for (const rsync::Listed& file : part.files) {
        if (!done.contains(file.path)) tree_.forget_file(file.path);  // dropped meanwhile
    }
}

void RsyncCopy::attempt(const Part& part, std::set<std::string>& done, const Copied& copied) {
    std::string names;
    std::unordered_map<std::string, std::uint64_t> sizes;
    for (const rsync::Listed& file : part.files) {
        if (done.contains(file.path)) continue;
        names.append(file.path.substr(part.root->prefix.size())).push_back('\0');
        sizes.emplace(file.path, file.size);
    }
    if (names.empty()) return;
    wait_for_start();
    Program program{rsync::copy_command(source_of(part.root->directory), part.root->tree, part.options),
                    rsync::environment(),
                    std::move(names),
                    stop_fd_,
                    {}};
    program.output = [&](std::string_view line) {
        const auto file = rsync::parse_transfer_line(line);
        if (!file) return;
        const auto listed = sizes.find(part.root->prefix + file->path);
        if (listed != sizes.end()) take(*listed, *file, done, copied);
    };
    auto failure = rsync::failure_of(run_program(program), part.root->directory);
    if (!failure) return;
    // As the reasons that another attempt may take away are told apart here.
    if (failure->retry && failure->error.code() != ErrorCode::server_unreachable) {
        throw Error(ErrorCode::busy, failure->error.fact(), failure->error.where(), failure->error.remedy());
    }
    throw std::move(failure->error);
}

void RsyncCopy::take(const std::pair<const std::string, std::uint64_t>& listed, const rsync::Transferred& file,
                     std::set<std::string>& done, const Copied& copied) {
    if (failed_) throw Error(ErrorCode::canceled, "another part of the copy has failed");
    const auto& [path, size] = listed;
    const std::lock_guard lock(mutex_);
    done.insert(path);
    received_ += file.bytes;
    if (file.written) {
        tree_.changed(path);
        written_files_ += size;
    } else {
        tree_.trust(path);
    }
    kill_point("job.backup.copying");
    copied(size);
}

// As a shell is started on the other host for each, not too many at once (sshd's MaxStartups).
void RsyncCopy::wait_for_start() {
    std::chrono::steady_clock::time_point when;
    {
        const std::lock_guard lock(mutex_);
        if (started_ == 0) first_start_ = std::chrono::steady_clock::now();
        when = first_start_ + server_.jobs_start_batch_period * (started_ / server_.jobs_start_batch_size);
        ++started_;
    }
    const auto left = when - std::chrono::steady_clock::now();
    if (left.count() > 0) pause(std::chrono::ceil<std::chrono::milliseconds>(left));
}

void RsyncCopy::pause(std::chrono::milliseconds time) const {
    pollfd stop{stop_fd_, POLLIN, 0};
    (void)::poll(&stop, 1, static_cast<int>(time.count()));
    check_stop(stop_fd_);
}

const RsyncRoot& RsyncCopy::root_of(const std::string& path) const {
    for (const RsyncRoot& root : plan_.roots) {
        if (!root.prefix.empty() && path.starts_with(root.prefix)) return root;
    }
    return plan_.roots.front();
}

void RsyncCopy::copy_again(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const Part part{
            &root_of(path), {{false, 0, 0, 0, path}}, {plan_.in_place, true, server_.network_compression, 0}};
        run_part(part, [](std::uint64_t) {});
    }
}

void RsyncCopy::copy_control() {
    const Part part{&plan_.roots.front(), {{false, 0, 0, 0, control_file}}, {plan_.in_place, true, false, 0}};
    tree_.add_file(control_file, control_time_.value_or(0));
    run_part(part, [](std::uint64_t) {});
    if (!tree_.has_file(control_file)) throw Error(ErrorCode::corrupt, "pg_control is gone from the server");
}

// As Barman does, they lie in the data directory of the backup, under their own names.
void RsyncCopy::copy_configuration_files() {
    for (const std::string& file : plan_.configuration_files) {
        const Path place(file);
        const std::string name = place.filename().string();
        if (tree_.has_file(name) || !image::is_safe_path(name)) continue;
        const RsyncRoot root{place.parent_path().string(), "", tree_.data_path(), 0};
        const Part part{&root, {{false, 0, 0, 0, name}}, {plan_.in_place, true, false, 0}};
        tree_.add_file(name, 0);
        try {
            run_part(part, [](std::uint64_t) {});
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled || error.code() == ErrorCode::no_space) throw;
            tree_.forget_file(name);
            log_warning("a configuration file outside of the data directory is not part of the backup: {}: {}", file,
                        error.what());
        }
    }
}

}  // namespace coffer::job
