// The first half of storing: read, judge, compare, compress. Runs in any number of threads at once.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "lib/base/log.h"
#include "lib/wal/archive_ready.h"
#include "lib/wal/other_copy.h"
#include "lib/wal/proof.h"
#include "lib/wal/quarantine.h"

namespace coffer::wal {
namespace {

// Files over this are in memory one at a time, so that it stays bounded with segments of 1 GB too. What counts is the
// plain size; where that is not known before, the turn is waited for with this much in memory.
constexpr std::size_t large_file = 64 << 20;
std::mutex one_large_file;  // of all servers
using Turn = std::unique_lock<std::mutex>;

std::string decompressed(const SourceFile& source, Turn& turn) {
    std::string plain;
    const auto take = [&](ByteSpan piece) {
        if (piece.size() > largest_wal_file - plain.size()) {
            throw Error(ErrorCode::corrupt, "file is larger than it can rightly be when decompressed",
                        source.path().string());
        }
        if (!turn.owns_lock() && plain.size() + piece.size() > large_file) {
            turn.lock();
            plain.reserve(largest_wal_file);  // growing would need half as much again; what is not used costs nothing
        }
        plain.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    };
    decompress(source.bytes(), take, source.path());
    return plain;
}

StoreOutcome outcome_of(const Path& source, StoreResult result, std::string reason = {}) {
    StoreOutcome outcome;
    outcome.result = result;
    outcome.name = source.filename().string();
    outcome.reason = std::move(reason);
    return outcome;
}

}  // namespace

void WalArchive::store(const Path& source, Done done) noexcept {
    const std::string name = source.filename().string();
    begin(name);
    take_in(source, done);
    commit(name);
}

void WalArchive::take_in(const Path& source, Done& done) noexcept {
    StoreOutcome outcome;
    Turn turn(one_large_file, std::defer_lock);  // given back when everything below is gone
    try {
        std::optional<SourceFile> file;
        try {
            file = SourceFile::open(source);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            outcome = outcome_of(source, StoreResult::refused, error.fact());
            outcome.moved_to = quarantine(server_, source, QuarantineKind::unknown, error.fact(), clock_);
            return done(std::move(outcome));
        }
        if (!file) return done(outcome_of(source, StoreResult::vanished));
        if (file->size() > large_file) turn.lock();
        file->read();
        return prepare(*file, turn, done);
    } catch (const Error& error) {
        outcome = outcome_of(source, StoreResult::failed);
        outcome.error = error;
    } catch (const std::exception& error) {
        outcome = outcome_of(source, StoreResult::failed);
        outcome.error = Error(ErrorCode::internal, error.what(), source.string());
    }
    done(std::move(outcome));
}

void WalArchive::prepare(SourceFile& source, std::unique_lock<std::mutex>& turn, Done& done) {
    const std::string name = source.name();
    const Codec found = detect_codec(source.bytes());
    std::string unpacked;
    ByteSpan plain = source.bytes();
    try {
        if (found != Codec::none) {
            unpacked = decompressed(source, turn);
            plain = as_byte_span(unpacked);
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return done(set_aside(source, StoreResult::refused, error.fact()));
    }
    if (const auto reason = refusal_of(name, plain, known_system())) {
        return done(set_aside(source, StoreResult::refused, *reason));
    }
    learn_system_of(plain);

    StoreOutcome stored = outcome_of(source.path(), StoreResult::stored);
    Ready ready{std::move(source), path_of(name), {}, {}, {}, done, std::move(stored)};
    if (!compare_with_archived(ready, plain)) return;
    const FileKind kind = kind_of(name);
    if (ready.fd) {
        ready.outcome.result = StoreResult::duplicate;
    } else {
        // What is compressed stays so, and texts stay what people can read.
        const bool compressible = found == Codec::none && (kind == FileKind::segment || kind == FileKind::partial);
        compress(ready, ready.source.bytes(), compressible ? server_.compression : Codec::none);
        (void)keep_proof(ready.fd.get(), proof_of(plain));
    }
    ready.outcome.stored_size = ready.line.size;
    ready.source.release_bytes();
    commit_later(std::move(ready));
}

// Opens the archived file when it holds the same bytes; nothing happens when there is none; false when that settled it.
bool WalArchive::compare_with_archived(Ready& ready, ByteSpan plain) {
    if (!std::filesystem::exists(ready.target)) return true;
    switch (compare_with_held(ready.target, ready.source.name(), plain, known_system())) {
        case OtherCopy::same:
            ready.fd = files().open(ready.target, O_RDONLY);
            ready.line = describe_archived(ready.target).value();
            return true;
        case OtherCopy::different:
            ready.done(set_aside(ready.source, StoreResult::conflict,
                                 "has other bytes than the file of this name in the archive"));
            return false;
        case OtherCopy::damaged:
            break;
    }
    log_error("server {}: archived {} is damaged; a good copy has arrived and takes its place", server_.name,
              ready.target.string());
    {
        const std::lock_guard lock(replacement_mutex_);
        if (!std::filesystem::exists(ready.target)) return true;  // a recheck has moved it
        ready.outcome.moved_to =
            quarantine(server_, ready.target, QuarantineKind::damaged, "was damaged in the archive", clock_);
    }
    try {
        unlist({ready.source.name()});  // its size, time and compression were those of the damaged one
    } catch (const Error& error) {
        // Its line stays until the good one's takes its place. What was set aside must be told of all the same.
        log_warning("server {}: {} is still in the index: {}", server_.name, ready.source.name(), error.what());
        const std::lock_guard lock(xlogdb_mutex_);
        disordered_ = true;
    }
    return true;
}

void WalArchive::compress(Ready& ready, ByteSpan bytes, Codec codec) {
    ensure_folder(ready.target.parent_path());
    const std::string unique = fmt::format(".{}.{}.tmp", ready.target.filename().string(), ++temporary_number_);
    const Path temporary = ready.target.parent_path() / unique;
    try {
        if (codec == Codec::none && second_name(ready.source.path(), temporary)) {
            ready.fd = files().open(temporary, O_RDWR);
        } else {
            ready.fd = files().open(temporary, O_RDWR | O_CREAT | O_EXCL);
            compress_to(ready.fd.get(), bytes, codec, level_, temporary);
            // The time of the source, as Barman keeps it: ages of WAL are judged by it.
            const timespec times[2] = {ready.source.modified(), ready.source.modified()};
            if (::futimens(ready.fd.get(), times) != 0)
                throw Error::from_errno(errno, "cannot set time of file", temporary.string());
            // Only a start, so that the sync in the commit finds little to do.
            ::sync_file_range(ready.fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
        }
        ready.line = describe_archived(temporary).value();
        ready.line.name = ready.target.filename().string();
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    ready.temporary = temporary;
    kill_point("archiver.segment.compressed");
}

// What the streamer finished nobody writes to any more, so where nothing is compressed the archive needs no copy on the
// same file system, only the name: a copy's writing would keep commits waiting behind it. False where that cannot be.
bool WalArchive::second_name(const Path& source, const Path& name) const {
    if (source.parent_path() != server_.streaming_wals_directory) return false;
    return ::link(source.c_str(), name.c_str()) == 0;
}

StoreOutcome WalArchive::set_aside(const SourceFile& source, StoreResult result, const std::string& reason) {
    if (source.may_still_be_written(settings_.quiet_time)) {
        return outcome_of(source.path(), StoreResult::unsettled, reason);
    }
    StoreOutcome outcome = outcome_of(source.path(), result, reason);
    const auto kind = result == StoreResult::conflict ? QuarantineKind::duplicate : QuarantineKind::unknown;
    outcome.moved_to = quarantine(server_, source.path(), kind, reason, clock_);
    return outcome;
}

KnownSystem WalArchive::known_system() const {
    KnownSystem known;
    if (settings_.known_system) known = settings_.known_system();
    const std::lock_guard lock(state_mutex_);
    if (!known.system_identifier) known.system_identifier = learned_system_;
    return known;
}

// The very first WAL of a server that nobody has spoken to yet had nothing to be compared with; all later one has.
void WalArchive::learn_system_of(ByteSpan plain) {
    const std::lock_guard lock(state_mutex_);
    if (learned_system_) return;
    if (const auto identity = identify_segment(plain)) learned_system_ = identity->system_identifier;
}

void WalArchive::ensure_folder(const Path& folder) {
    {
        const std::lock_guard lock(state_mutex_);
        if (folders_.count(folder) != 0 && std::filesystem::is_directory(folder)) return;
    }
    make_directories_durably(folder);
    files().sync_directory(folder.parent_path());  // it may be there since a moment before a crash
    const std::lock_guard lock(state_mutex_);
    folders_.insert(folder);
}

}  // namespace coffer::wal
