#pragma once
// The WAL archive of one server: takes finished files in, durably, and never anything that is not what its name says.
//
// store() reads the source once, judges it (admission.h), compresses it to ".NAME.tmp" beside its final place, and
// hands it to the commit: fdatasync, rename, fsync of the directories, line in xlog.db, and only then the source goes.
// Workers compress in parallel; whoever finds no commit running commits for all that are ready, so that a queue shares
// its syncs and nobody waits for them. What is ready waits for earlier names that are still being compressed, so that
// the index, which is in the order of names, only grows at its end. A crash anywhere leaves the source, or the archived
// file, or both: doing it again is always right, since same name and same bytes is success.
//
// Thread-safe. Reasons that are nobody's fault but the file's (Outcome) are values; what keeps the archive from working
// (no_space, io) is an Error in the outcome, and the source stays.
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/config/config.h"
#include "lib/wal/admission.h"
#include "lib/wal/archive_index.h"
#include "lib/wal/archive_scan.h"
#include "lib/wal/codec.h"
#include "lib/wal/source_file.h"
#include "lib/wal/xlogdb.h"

namespace coffer::wal {

enum class StoreResult {
    stored,
    duplicate,  // was there already, with the same bytes: success
    conflict,   // is there already with other bytes: source moved to errors/
    refused,    // must not be archived: source moved to errors/
    unsettled,  // not acceptable yet, but somebody may still be writing it: look again later
    vanished,   // not there any more
    failed,     // error says why; the source stays
};

struct StoreOutcome {
    StoreResult result = StoreResult::failed;
    std::string name;
    std::uint64_t stored_size = 0;  // in the archive
    std::string reason;             // conflict, refused, unsettled: for people
    std::optional<Path> moved_to;   // in errors/: the source, or the damaged file that it replaces
    std::optional<Error> error;
};

struct Recheck {
    enum class Result { absent, sound, set_aside, opaque } result = Result::absent;
    std::string fault;
    Path moved_to;  // in errors/
};

struct ArchiveState {
    std::optional<std::string> first_wal, last_wal;  // complete segments
    std::uint64_t wal_count = 0;
    std::uint64_t stored_bytes = 0;
};

class WalArchive {
  public:
    struct Settings {
        // Asked for each file, from any thread: what the catalogue knows of the server (identity.json).
        std::function<KnownSystem()> known_system;
        // A file that is not acceptable is set aside only when nobody has written to it for so long.
        std::chrono::milliseconds quiet_time{5000};
    };
    // Creates missing directories, removes what a crash left of temporary files, loads the index and sets it right by
    // what lies on disk. Throws io, no_space, invalid_configuration (compression_level).
    WalArchive(config::Server server, Settings settings, const Clock& clock);
    ~WalArchive();
    WalArchive(const WalArchive&) = delete;
    WalArchive& operator=(const WalArchive&) = delete;

    using Done = std::function<void(StoreOutcome)>;
    // Compresses in the calling thread; done is called once, from this or another storing thread, when the file is
    // durably archived and its source removed, or is settled otherwise. done must not throw and not call store().
    void store(const Path& source, Done done) noexcept;
    // The same, waiting for it.
    StoreOutcome store(const Path& source);

    // Removes files (by name) from the archive and the index. Throws io; removes the others all the same.
    void remove(const std::vector<std::string>& names);

    // Makes the index anew from what lies on disk; what is archived or removed meanwhile is in it, or not, as it should
    // be. Takes seconds for 200,000 files, during which storing goes on. Durable when it returns; when it throws (io,
    // no_space) the old index is as it was.
    struct Rebuilt {
        std::uint64_t files = 0;
        std::vector<LeftOut> left_out;
    };
    Rebuilt rebuild_index();
    // Proves an archived file anew. A damaged one goes to errors/, and the index knows at once; of a sound one the
    // index says what lies there afterwards. Of an opaque one nothing can be told: it stays. Throws io (also where it
    // cannot be read, which is no judgement), no_space.
    Recheck recheck(const std::string& name);

    // Whose WAL it takes: by the catalogue's identity, else by what it holds.
    [[nodiscard]] KnownSystem known_system() const;
    [[nodiscard]] ArchiveState state() const;
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> names_if(const std::function<bool(const std::string&)>& wanted) const;
    [[nodiscard]] const config::Server& server() const noexcept { return server_; }
    [[nodiscard]] Path path_of(std::string_view name) const;  // where a file of this name is stored

  private:
    struct Ready;  // archive_ready.h: compressed, waits for the commit

    void unlist(const std::vector<std::string>& names);
    // archive_recheck.cpp
    void relist(const std::string& name);
    Recheck set_aside_damaged(const std::string& name, const std::string& fault);
    [[nodiscard]] bool known_form(const std::string& name) const;
    // archive_load.cpp
    void load_index();
    void learn_system();
    // archive_store.cpp
    void take_in(const Path& source, Done& done) noexcept;
    void prepare(SourceFile& source, std::unique_lock<std::mutex>& turn, Done& done);
    [[nodiscard]] bool second_name(const Path& source, const Path& name) const;
    void compress(Ready& ready, ByteSpan bytes, Codec codec);
    StoreOutcome set_aside(const SourceFile& source, StoreResult result, const std::string& reason);
    [[nodiscard]] bool compare_with_archived(Ready& ready, ByteSpan plain);
    void learn_system_of(ByteSpan plain);
    void ensure_folder(const Path& folder);
    // archive_commit.cpp
    void begin(const std::string& name);
    void commit_later(Ready ready);
    std::vector<Ready> take_group();
    void commit(const std::string& name);
    void commit_group(std::vector<Ready>& group);
    void index_group(std::vector<Ready>& group);
    void list(const std::vector<XlogLine>& lines);

    const config::Server server_;
    const Settings settings_;
    const Clock& clock_;
    const int level_;

    mutable std::mutex state_mutex_;  // of the next three
    ArchiveIndex index_;
    std::set<Path> folders_;  // known to be durable
    std::optional<std::uint64_t>
        learned_system_;  // from the archive itself, for as long as the catalogue knows nothing

    std::atomic<std::uint64_t> temporary_number_{0};
    std::mutex rebuild_mutex_;  // one at a time; taken before xlogdb_mutex_
    std::mutex xlogdb_mutex_;   // one writer of xlog.db, and the next two; taken before state_mutex_
    bool disordered_ = false;
    std::optional<std::set<std::string>> changed_;  // names listed or unlisted while the index is made anew
    std::mutex replacement_mutex_;                  // whoever moves an archived file away
    std::mutex commit_mutex_;                       // of the next three
    std::multiset<std::string> under_way_;          // between begin() and commit()
    std::vector<Ready> pending_;
    bool committing_ = false;
};

}  // namespace coffer::wal
