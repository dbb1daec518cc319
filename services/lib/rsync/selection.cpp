#include "lib/rsync/selection.h"

#include <algorithm>
#include <array>
#include <optional>
#include <queue>
#include <unordered_set>

namespace coffer::rsync {
namespace {

constexpr std::uint64_t least_weight = 16384;  // bytes

// Their content is of the running server only; the directories themselves have to be there.
constexpr std::array<std::string_view, 9> emptied{"pg_wal",      "pg_replslot", "pg_dynshmem",
                                                  "pg_notify",   "pg_serial",   "pg_snapshots",
                                                  "pg_stat_tmp", "pg_subtrans", "pg_xlog"};
constexpr std::array<std::string_view, 9> left_out{
    "postmaster.pid",     "postmaster.opts", "backup_label",         "backup_label.old",        "tablespace_map",
    "tablespace_map.old", "backup_manifest", "current_logfiles.tmp", "postgresql.auto.conf.tmp"};

bool is_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "base/5/16390_init" and all other forks and segments of it: "base/5/16390"; nullopt for what is no relation's file.
std::optional<std::string> relation_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == path.npos || (!path.starts_with("base/") && !path.starts_with("pg_tblspc/"))) return std::nullopt;
    const std::string_view name = path.substr(slash + 1);
    const std::string_view number = name.substr(0, name.find_first_of("_."));
    if (!is_number(number)) return std::nullopt;
    return std::string(path.substr(0, slash + 1 + number.size()));
}

}  // namespace

bool is_part_of_backup(std::string_view path, bool directory) noexcept {
    const std::size_t first = path.find('/');
    const std::string_view top = path.substr(0, first);
    const std::string_view name = path.substr(path.rfind('/') == path.npos ? 0 : path.rfind('/') + 1);
    if (first != path.npos && std::find(emptied.begin(), emptied.end(), top) != emptied.end()) {
        return directory && path == "pg_wal/archive_status";
    }
    if (name.starts_with("pgsql_tmp") || path.find("/pgsql_tmp") != path.npos || path.starts_with("pgsql_tmp"))
        return false;
    if (directory) return true;
    if (name.starts_with("pg_internal.init")) return false;
    return first != path.npos || std::find(left_out.begin(), left_out.end(), path) == left_out.end();
}

void leave_out_unlogged(std::vector<Listed>& files) {
    std::unordered_set<std::string> unlogged;
    for (const Listed& file : files) {
        if (!file.path.ends_with("_init")) continue;
        if (auto relation = relation_of(file.path)) unlogged.insert(std::move(*relation));
    }
    std::erase_if(files, [&](const Listed& file) {
        if (file.path.ends_with("_init")) return false;
        const auto relation = relation_of(file.path);
        return relation && unlogged.contains(*relation);
    });
}

std::vector<std::vector<Listed>> shared_out(std::vector<Listed> files, std::size_t lists) {
    std::sort(files.begin(), files.end(),
              [](const Listed& a, const Listed& b) { return a.size != b.size ? a.size > b.size : a.path < b.path; });
    std::vector<std::vector<Listed>> shares(std::min(lists, files.size()));
    using Load = std::pair<std::uint64_t, std::size_t>;  // bytes, which list
    std::priority_queue<Load, std::vector<Load>, std::greater<>> least;
    for (std::size_t i = 0; i < shares.size(); ++i) least.emplace(0, i);
    for (Listed& file : files) {
        const auto [bytes, list] = least.top();
        least.pop();
        least.emplace(bytes + least_weight + file.size, list);
        shares[list].push_back(std::move(file));
    }
    return shares;
}

}  // namespace coffer::rsync
