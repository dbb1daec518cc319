#include "services/archiver/intake_queue.h"

#include <algorithm>

#include "lib/wal/segment_name.h"

namespace coffer::archiver {

void IntakeQueue::found(const Path& file) {
    const std::string name = file.filename().string();
    if (name.empty() || wal::kind_of(name) == wal::FileKind::temporary) return;
    if (const auto working = working_.find(name); working != working_.end() && working->second == file) {
        again_.insert(file);
        return;
    }
    later_.erase(file);
    ready_.emplace(name, file);
}

std::optional<Path> IntakeQueue::take(MonotonicTime now) {
    for (auto entry = later_.begin(); entry != later_.end();) {
        if (entry->second > now) {
            ++entry;
            continue;
        }
        ready_.emplace(entry->first.filename().string(), entry->first);
        entry = later_.erase(entry);
    }
    if (paused_until_ && *paused_until_ > now) return std::nullopt;
    // One file tries whether there is room again; the others follow when it succeeded.
    if (out_of_space_ && !working_.empty()) return std::nullopt;
    for (auto entry = ready_.begin(); entry != ready_.end(); ++entry) {
        if (working_.count(entry->first) != 0) continue;
        const Path file = entry->second;
        working_.emplace(entry->first, file);
        ready_.erase(entry);
        return file;
    }
    return std::nullopt;
}

void IntakeQueue::finished(const Path& file, const wal::StoreOutcome& outcome, MonotonicTime now) {
    working_.erase(file.filename().string());
    const bool written_meanwhile = again_.erase(file) != 0;
    const bool failed = outcome.result == wal::StoreResult::failed;
    const ErrorCode code = failed && outcome.error ? outcome.error->code() : ErrorCode::internal;
    if (failed && code == ErrorCode::no_space) {
        out_of_space_ = true;
        paused_until_ = now + no_space_pause;
        put_off(file, now);
        return;
    }
    const bool tells_nothing = outcome.result == wal::StoreResult::unsettled || (failed && code == ErrorCode::busy);
    if (!tells_nothing) {
        out_of_space_ = false;
        paused_until_.reset();
    }
    if (failed) return put_off(file, code == ErrorCode::busy ? now : now + failure_pause);
    if (outcome.result == wal::StoreResult::unsettled) put_off(file, now + unsettled_pause);
    if (written_meanwhile) found(file);
}

std::optional<MonotonicTime> IntakeQueue::next_change() const {
    std::optional<MonotonicTime> earliest = ready_.empty() ? std::nullopt : paused_until_;
    for (const auto& [file, time] : later_) {
        const MonotonicTime effective = paused_until_ ? std::max(time, *paused_until_) : time;
        if (!earliest || effective < *earliest) earliest = effective;
    }
    return earliest;
}

}  // namespace coffer::archiver
