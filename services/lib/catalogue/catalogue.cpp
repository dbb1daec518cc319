#include "lib/catalogue/catalogue.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/config/catalogue_version.h"

namespace coffer::catalogue {
namespace {

constexpr std::string_view info_suffix = "-backup.info";
constexpr std::string_view delete_suffix = "-delete_this";
constexpr std::uint64_t largest_record = 16ULL << 20;
constexpr std::size_t at_once = 64;  // records for one thread

std::vector<std::string> names_in(const Path& directory) {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(directory, error);
    if (error == std::errc::no_such_file_or_directory) return names;
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        names.push_back(entry->path().filename().string());
    }
    if (error) throw Error::from_errno(error.value(), "cannot read directory", directory.string());
    return names;
}

BackupInfo unreadable(const std::string& backup_id, std::string reason) {
    BackupInfo info;
    info.backup_id = backup_id;
    info.status = BackupStatus::failed;
    info.unreadable = true;
    info.error = std::move(reason);
    return info;
}

template <typename Iterator, typename Predicate>
std::optional<BackupInfo> first_of(Iterator begin, Iterator end, Predicate wanted) {
    const Iterator found = std::find_if(begin, end, wanted);
    return found == end ? std::nullopt : std::optional<BackupInfo>(*found);
}

}  // namespace

bool is_backup_id(std::string_view name) noexcept {
    if (name.size() != 15 || name[8] != 'T') return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || c == 'T'; });
}

Catalogue::Catalogue(const config::Server& server) : server_(server) {}

void Catalogue::create_directories() const {
    for (const Path& path :
         {server_.backup_directory, server_.basebackups_directory, server_.meta_directory(), server_.wals_directory,
          server_.incoming_wals_directory, server_.streaming_wals_directory, server_.errors_directory}) {
        make_directories_durably(path);
    }
    const Path mark = config::catalogue_mark(server_);
    std::error_code absent;
    if (std::filesystem::file_size(mark, absent) > 0 && !absent) return;
    try {
        // The services start at the same moment, and each may do this.
        const Path own = server_.meta_directory() / fmt::format(".coffer-catalogue.{}", ::getpid());
        write_file_durably(own, fmt::format("{{\"version\": {}, \"written_by\": \"{}\"}}\n",
                                            config::known_catalogue_version, COFFER_VERSION));
        files().rename(own, mark);
        files().sync_directory(server_.meta_directory());
    } catch (const Error& error) {
        // Its absence says the same: for its sake no streaming may wait, nor the deletion that makes room.
        log_warning("server {}: the version of the catalogue is not noted: {}", server_.name, error.what());
    }
    kill_point("catalogue.mark.written");
}

Path Catalogue::backup_path(std::string_view backup_id) const {
    return server_.basebackups_directory / backup_id;
}
Path Catalogue::data_path(std::string_view backup_id) const {
    return backup_path(backup_id) / "data";
}
Path Catalogue::meta_path(std::string_view backup_id, std::string_view suffix) const {
    return server_.meta_directory() / (std::string(backup_id) + std::string(suffix));
}

std::vector<std::string> Catalogue::backup_ids() const {
    std::set<std::string> ids, removed;
    for (const std::string& name : names_in(server_.basebackups_directory)) {
        if (is_backup_id(name)) ids.insert(name);
    }
    for (const std::string& name : names_in(server_.meta_directory())) {
        const std::string id = name.substr(0, 15);
        if (!is_backup_id(id)) continue;
        if (name.substr(15) == info_suffix) ids.insert(id);
        if (name.substr(15) == delete_suffix) removed.insert(id);
    }
    std::vector<std::string> left;
    std::set_difference(ids.begin(), ids.end(), removed.begin(), removed.end(), std::back_inserter(left));
    return left;
}

BackupInfo Catalogue::load(const std::string& backup_id) const {
    try {
        Path path = meta_path(backup_id, info_suffix);
        std::optional<std::string> text = read_file(path, largest_record);
        if (!text) {
            path = backup_path(backup_id) / "backup.info";
            text = read_file(path, largest_record);
        }
        if (!text) {  // claimed this moment, or cut off before its record was written
            BackupInfo info;
            info.backup_id = backup_id;
            info.server_name = server_.name;
            return info;
        }
        BackupInfo info = BackupInfo::parse(*text, backup_id, path.string());
        if (std::error_code error; !std::filesystem::is_directory(backup_path(backup_id), error)) {
            info.status = BackupStatus::failed;
            info.error = "the files of the backup are gone: " + backup_path(backup_id).string();
        }
        return info;
    } catch (const Error& error) {
        return unreadable(backup_id, error.what());
    }
}

std::vector<BackupInfo> Catalogue::backups() const {
    const std::vector<std::string> ids = backup_ids();
    std::vector<BackupInfo> all(ids.size());
    run_in_batches(ids.size(), at_once, [&](std::size_t i) { all[i] = load(ids[i]); });
    return all;
}

std::optional<BackupInfo> Catalogue::find(std::string_view id_or_alias) const {
    const std::vector<BackupInfo> all = backups();
    const auto done = [](const BackupInfo& one) { return one.status == BackupStatus::done; };
    const auto failed = [](const BackupInfo& one) { return one.status == BackupStatus::failed; };
    const auto full = [&](const BackupInfo& one) { return done(one) && one.parent().empty(); };
    if (id_or_alias == "latest" || id_or_alias == "last") return first_of(all.rbegin(), all.rend(), done);
    if (id_or_alias == "oldest" || id_or_alias == "first") return first_of(all.begin(), all.end(), done);
    if (id_or_alias == "last-failed") return first_of(all.rbegin(), all.rend(), failed);
    if (id_or_alias == "latest-full" || id_or_alias == "last-full") return first_of(all.rbegin(), all.rend(), full);
    const auto by_id =
        first_of(all.begin(), all.end(), [&](const BackupInfo& one) { return one.backup_id == id_or_alias; });
    if (by_id) return by_id;
    return first_of(all.rbegin(), all.rend(),
                    [&](const BackupInfo& one) { return !one.backup_name.empty() && one.backup_name == id_or_alias; });
}

BackupInfo Catalogue::get(std::string_view id_or_alias) const {
    auto found = find(id_or_alias);
    if (found) return std::move(*found);
    std::string names;
    for (const std::string& id : backup_ids()) names += (names.empty() ? "" : ", ") + id;
    throw Error(ErrorCode::no_such_backup, fmt::format("server {} has no backup {}", server_.name, id_or_alias), {},
                names.empty() ? "take a backup first" : "there are " + names);
}

void Catalogue::save(const BackupInfo& info) const {
    make_directories_durably(server_.meta_directory());
    if (std::filesystem::is_directory(backup_path(info.backup_id))) {
        write_file_durably(backup_path(info.backup_id) / "backup.info", info.format(BackupInfo::Dialect::barman_3_4));
    }
    kill_point("catalogue.save.barman");
    write_file_durably(meta_path(info.backup_id, info_suffix), info.format());
}

}  // namespace coffer::catalogue
