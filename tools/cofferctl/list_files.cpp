// cofferctl list-files: the paths of a backup, of the WAL it needs, or of both.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/catalogue/catalogue.h"
#include "lib/wal/holdings.h"
#include "tools/cofferctl/commands.h"

namespace coffer::cofferctl {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_of_backup(const config::Server& server, const std::string& backup_id,
                                         bool empty_directories) {
    std::vector<std::string> paths;
    const Path root = catalogue::Catalogue(server).backup_path(backup_id);
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const bool link = entry.is_symlink();  // to a tablespace, whose files are listed where they lie
        if (!entry.is_directory() || (empty_directories && !link && fs::is_empty(entry.path())))
            paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

// nullopt: there is no such backup.
std::optional<wal::Segment> end_of_next(const config::Server& server, const catalogue::BackupInfo& backup) {
    for (const auto& other : catalogue::Catalogue(server).backups()) {
        if (other.backup_id <= backup.backup_id || other.status != catalogue::BackupStatus::done) continue;
        const auto end = wal::Segment::parse(other.end_wal, backup.xlog_segment_size);
        return other.timeline == backup.timeline ? end : std::nullopt;
    }
    return std::nullopt;
}

// From the first segment of the backup to the last one needed; or, with all, to the last one that the next backup on
// this timeline needs, or that there is: what Barman counts as the backup's WAL.
std::vector<std::string> files_of_wal(const config::Server& server, const catalogue::BackupInfo& backup, bool all) {
    std::vector<std::string> paths;
    const auto first = wal::Segment::parse(backup.begin_wal, backup.xlog_segment_size);
    auto last = wal::Segment::parse(backup.end_wal, backup.xlog_segment_size);
    if (!first || !last) return paths;
    if (all) last = end_of_next(server, backup);
    const auto holdings = wal::Holdings::scan(server, backup.xlog_segment_size);
    for (const auto& [segment, file] : holdings.segments()) {
        if (segment < *first || (last && *last < segment)) continue;
        paths.push_back(file.path.string());
    }
    if (all) {
        for (const auto& [timeline, file] : holdings.histories()) paths.push_back(file.path.string());
    }
    return paths;
}

void run(Context& context, const Arguments& arguments) {
    const config::Server& server = one_server(context, arguments.positionals[0], Only::readable);
    const auto backup = catalogue::Catalogue(server).get(arguments.positionals[1]);
    const std::string target = arguments.text("target").value_or("standalone");
    const bool data = target == "data" || target == "standalone" || target == "full";
    const bool wal = target == "wal" || target == "standalone" || target == "full";
    if (!data && !wal) {
        throw Error(ErrorCode::invalid_argument, "'" + target + "' is no target", "--target",
                    "use data, standalone, wal or full");
    }
    std::vector<std::string> paths;
    try {
        if (data) paths = files_of_backup(server, backup.backup_id, arguments.flag("list_empty_directories"));
    } catch (const fs::filesystem_error& error) {
        throw Error::from_errno(error.code().value(), "cannot list backup " + backup.backup_id, error.path1().string());
    }
    if (wal) {
        for (std::string& path : files_of_wal(server, backup, target != "standalone")) paths.push_back(std::move(path));
    }
    for (const std::string& path : paths) context.out.line(path);
    context.out.data()["_INFO"] = paths;  // where Barman puts them
}

}  // namespace

Command list_files_command() {
    return {"list-files",
            {},
            "list the files of a backup",
            "SERVER BACKUP",
            2,
            2,
            {{"--target", OptionSpec::Kind::text, "data, standalone (default), wal or full"},
             {"--list-empty-directories", OptionSpec::Kind::flag, "also directories without files"}},
            run};
}

}  // namespace coffer::cofferctl
