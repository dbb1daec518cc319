// The second half of storing: making durable what is compressed. One thread at a time, for all files that are ready.
#include <algorithm>
#include <functional>
#include <iterator>
#include <thread>

#include "lib/base/log.h"
#include "lib/wal/archive_ready.h"

namespace coffer::wal {

void WalArchive::Ready::fail(const Error& error) noexcept {
    outcome.result = StoreResult::failed;
    outcome.error = error;
    if (!temporary.empty()) ::unlink(temporary.c_str());
}

void WalArchive::begin(const std::string& name) {
    const std::lock_guard lock(commit_mutex_);
    under_way_.insert(name);
}

void WalArchive::commit_later(Ready ready) {
    const std::lock_guard lock(commit_mutex_);
    pending_.push_back(std::move(ready));
}

// Those that nothing under way comes before: lines of the index are in order then without being put there later. One
// that takes for ever holds up few.
std::vector<WalArchive::Ready> WalArchive::take_group() {
    static const std::size_t most_to_wait = 2 * std::max(1U, std::thread::hardware_concurrency());
    const bool enough = pending_.size() >= most_to_wait;
    const auto waits = [&](const Ready& ready) {
        return !enough && !under_way_.empty() && *under_way_.begin() < ready.target.filename().string();
    };
    const auto first_to_wait = std::partition(pending_.begin(), pending_.end(), std::not_fn(waits));
    std::vector<Ready> group(std::make_move_iterator(pending_.begin()), std::make_move_iterator(first_to_wait));
    pending_.erase(pending_.begin(), first_to_wait);
    return group;
}

// The file of this name is compressed and waits for the commit, or is settled: it holds up nobody any more.
void WalArchive::commit(const std::string& name) {
    std::unique_lock lock(commit_mutex_);
    under_way_.erase(under_way_.find(name));
    if (committing_) return;  // that thread will find what is ready
    committing_ = true;
    for (std::vector<Ready> group = take_group(); !group.empty(); group = take_group()) {
        lock.unlock();
        try {
            commit_group(group);
        } catch (const std::exception& error) {  // whoever waits for one of them would wait for ever
            for (Ready& left : group) {
                if (!left.lost()) left.fail(Error(ErrorCode::internal, error.what(), left.target.string()));
            }
        }
        for (Ready& done : group) done.done(std::move(done.outcome));
        lock.lock();
    }
    committing_ = false;
}

void WalArchive::commit_group(std::vector<Ready>& group) {
    const auto each = [&group](auto&& step) {
        for (Ready& ready : group) {
            if (ready.lost()) continue;
            try {
                step(ready);
            } catch (const Error& error) {
                ready.fail(error);
            } catch (const std::exception& error) {
                ready.fail(Error(ErrorCode::internal, error.what(), ready.target.string()));
            }
        }
    };
    each([](Ready& ready) {
        files().sync(ready.fd.get(), ready.temporary.empty() ? ready.target : ready.temporary);
        kill_point("archiver.segment.synced");
    });
    std::set<Path> folders;
    each([&folders](Ready& ready) {
        if (!ready.temporary.empty()) {
            if (std::filesystem::exists(ready.target)) {
                throw Error(ErrorCode::busy, "the same file was archived at this moment", ready.target.string());
            }
            files().rename(ready.temporary, ready.target);
            ready.temporary.clear();
            kill_point("archiver.segment.renamed");
        }
        folders.insert(ready.target.parent_path());
    });
    for (const Path& folder : folders) {
        try {
            files().sync_directory(folder);
            kill_point("archiver.segment.directory_synced");
        } catch (const Error& error) {
            each([&](Ready& ready) {
                if (ready.target.parent_path() == folder) throw error;
            });
        }
    }
    index_group(group);
    each([](Ready& ready) {
        // Somebody may have put a new file there meanwhile: that one is another source.
        if (ready.source.unchanged()) files().unlink(ready.source.path());
        kill_point("archiver.segment.source_removed");
    });
}

void WalArchive::index_group(std::vector<Ready>& group) {
    std::vector<XlogLine> lines;
    {
        const std::lock_guard lock(state_mutex_);
        for (const Ready& ready : group) {
            if (!ready.lost() && !index_.has(ready.line.name)) lines.push_back(ready.line);
        }
    }
    std::sort(lines.begin(), lines.end(), [](const XlogLine& a, const XlogLine& b) { return a.name < b.name; });
    lines.erase(
        std::unique(lines.begin(), lines.end(), [](const XlogLine& a, const XlogLine& b) { return a.name == b.name; }),
        lines.end());
    try {
        list(lines);
        kill_point("archiver.segment.indexed");
    } catch (const Error& error) {
        for (Ready& ready : group) {
            if (!ready.lost()) ready.fail(error);
        }
        return;
    }
    const std::lock_guard lock(state_mutex_);
    for (const XlogLine& line : lines) index_.add(line.name, line.size);
}

// Late files (a backlog of archive_command, two timelines at once) are appended, and put in order in one go when no
// more of them are under way: a long index takes time to be written.
void WalArchive::list(const std::vector<XlogLine>& lines) {
    if (lines.empty()) return;
    const bool more_come = [this] {
        const std::lock_guard lock(commit_mutex_);
        return !under_way_.empty() || !pending_.empty();
    }();
    const std::lock_guard lock(xlogdb_mutex_);
    if (changed_) {
        for (const XlogLine& line : lines) changed_->insert(line.name);
    }
    const Path path = xlogdb_path(server_);
    disordered_ = !ends_before(path, lines.front().name) || disordered_;
    append_xlogdb(path, lines);
    if (!disordered_ || more_come) return;
    try {
        order_xlogdb(path);
        disordered_ = false;
    } catch (const Error& error) {
        // Out of order is better than not archived; the next one, or the next start, mends it.
        log_debug("server {}: the index of the WAL archive is out of order: {}", server_.name, error.what());
    }
}

}  // namespace coffer::wal
