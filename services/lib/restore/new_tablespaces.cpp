#include "lib/restore/new_tablespaces.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/wal/little_endian.h"

namespace coffer::restore {
namespace {

constexpr std::uint8_t info_mask = 0xF0, info_create = 0x00;

}  // namespace

void NewTablespaces::take(const wal::RecordView& record) {
    if (record.rmid != wal::rm_tablespace || (record.info & info_mask) != info_create) return;
    if (record.start < plan_.backup.begin_xlog || (plan_.end.end.valid() && record.start >= plan_.end.end)) return;
    const auto data = record.main_data();
    if (!data || data->size() < 6) return;
    const std::uint32_t oid = wal::load32(*data, 0);
    const char* const text = reinterpret_cast<const char*>(data->data()) + 4;
    const Path path(std::string(text, ::strnlen(text, data->size() - 4)));
    // One without a place of its own lies in the data directory (allow_in_place_tablespaces).
    if (!path.is_absolute()) return;
    const auto& known = plan_.backup.tablespaces;
    if (std::any_of(known.begin(), known.end(), [oid](const auto& one) { return one.oid == oid; })) return;
    const std::lock_guard lock(mutex_);
    found_[oid] = path;
}

std::map<std::uint32_t, Path> NewTablespaces::found() const {
    const std::lock_guard lock(mutex_);
    return found_;
}

std::vector<Path> missing_directories(const std::map<std::uint32_t, Path>& tablespaces) {
    std::vector<Path> missing;
    for (const auto& [oid, path] : tablespaces) {
        if (!std::filesystem::exists(path)) {
            missing.push_back(path);
            continue;
        }
        if (std::filesystem::is_directory(path) && std::filesystem::is_empty(path)) continue;
        throw Error(
            ErrorCode::refused,
            fmt::format("tablespace {} was made after this backup, and recovery would make it again here, where "
                        "something is already, perhaps of a server that lives",
                        oid),
            path.string(),
            "move it away if nobody needs it; or restore on another machine, or to a target before the "
            "tablespace was made, or from a backup that has it (then --tablespace gives it another place)");
    }
    return missing;
}

}  // namespace coffer::restore
