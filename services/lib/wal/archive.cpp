#include "lib/wal/archive.h"

#include <future>
#include <unordered_set>

#include "lib/wal/archive_ready.h"

namespace coffer::wal {

WalArchive::WalArchive(config::Server server, Settings settings, const Clock& clock)
    : server_(std::move(server)),
      settings_(std::move(settings)),
      clock_(clock),
      level_(level_of(server_.compression, server_.compression_level)) {
    make_directories_durably(server_.wals_directory);
    make_directories_durably(server_.xlogdb_directory);
    load_index();
    learn_system();
}

WalArchive::~WalArchive() = default;

StoreOutcome WalArchive::store(const Path& source) {
    std::promise<StoreOutcome> promise;
    store(source, [&promise](StoreOutcome outcome) { promise.set_value(std::move(outcome)); });
    return promise.get_future().get();
}

void WalArchive::remove(const std::vector<std::string>& names) {
    std::optional<Error> first_error;
    std::vector<std::string> removed;
    std::set<Path> folders;
    for (const std::string& name : names) {
        const Path path = path_of(name);
        try {
            files().unlink(path);
            removed.push_back(name);
            folders.insert(path.parent_path());
        } catch (const Error& error) {
            if (!first_error) first_error = error;
        }
    }
    kill_point("archiver.remove.unlinked");
    {
        const std::lock_guard lock(state_mutex_);
        for (const Path& folder : folders) {
            // Empty ones go too; rmdir refuses the others.
            if (folder != server_.wals_directory && ::rmdir(folder.c_str()) == 0) folders_.erase(folder);
        }
    }
    if (!removed.empty()) unlist(removed);
    if (first_error) throw *first_error;
}

// What is not there any more is not in the index either.
void WalArchive::unlist(const std::vector<std::string>& names) {
    const std::unordered_set<std::string> gone(names.begin(), names.end());
    const std::lock_guard lock(xlogdb_mutex_);
    if (changed_) changed_->insert(names.begin(), names.end());
    {
        const std::lock_guard state(state_mutex_);
        index_.remove_all(names);
    }
    const Path path = xlogdb_path(server_);
    XlogContent content = read_xlogdb(path);
    std::erase_if(content.lines, [&](const XlogLine& line) { return gone.count(line.name) != 0; });
    write_xlogdb(path, content.lines);
}

ArchiveState WalArchive::state() const {
    const std::lock_guard lock(state_mutex_);
    return {index_.first_segment(), index_.last_segment(), index_.segment_count(), index_.stored_bytes()};
}

bool WalArchive::has(std::string_view name) const {
    const std::lock_guard lock(state_mutex_);
    return index_.has(name);
}

std::vector<std::string> WalArchive::names_if(const std::function<bool(const std::string&)>& wanted) const {
    const std::lock_guard lock(state_mutex_);
    return index_.names_if(wanted);
}

Path WalArchive::path_of(std::string_view name) const {
    return server_.wals_directory / archive_folder_of(name) / name;
}

}  // namespace coffer::wal
