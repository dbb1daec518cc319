#pragma once
// What a receiver's thread does: sessions, one after the other, and what to make of their failures.
#include "lib/catalogue/backup_lock.h"
#include "streamer/held_wal.h"
#include "streamer/receiver_context.h"
#include "streamer/upstream.h"
#include "streamer/wal_stream.h"

namespace coffer::streamer {

class ReceiverLoop {
  public:
    explicit ReceiverLoop(ReceiverContext& context) : context_(context) {}
    // Returns when told to stop.
    void run();

  private:
    struct Held {
        std::map<TimelineId, DurableLsn> ends;
        std::map<TimelineId, HeldRun> behind;  // looked for only when the server has removed what follows
    };
    void session();
    void lock_directory();
    [[nodiscard]] bool others_first(const Upstream& upstream, const Error& error);
    void refuse_old_timeline(const Upstream& upstream) const;
    void stream(Upstream& upstream, WalStream::Begin begin);
    std::optional<pg::NextTimeline> run(WalStream& stream, const WalStream::Begin& begin, wal::SegmentSize size);
    [[nodiscard]] std::optional<HeldTail> tail_of(const Upstream& upstream, const Start& start) const;
    WalStream::Begin begin_of(Upstream& upstream);
    [[nodiscard]] StartQuestion question_of(const Upstream& upstream, const Held& held) const;
    [[nodiscard]] Held held_of(const Upstream& upstream) const;
    [[nodiscard]] std::map<TimelineId, Lsn> known_holes() const;
    void mind_damaged_tail(const WalStream::Begin& begin, wal::SegmentSize size);
    void report(const Upstream& upstream, const Start& start);
    void seed(const Upstream& upstream, const WalStream::Begin& begin) const;
    void note_timeline(TimelineId timeline) const;
    void record_gap(const wal::WalGap& gap);
    void streaming_began(const Upstream& upstream, const WalStream::Begin& begin, bool same_connection);
    // How long to wait before the next session.
    std::chrono::milliseconds failed(const Error& error);

    ReceiverContext& context_;
    std::optional<catalogue::LockFile> lock_;
    bool streamed_before_ = false;
    Lsn asked_for_;               // where the last stream was to begin
    std::optional<Lsn> removed_;  // the newest position that the host turned out to have removed
    // Hosts that have removed WAL which is needed, or have other WAL than is held: the others are asked first.
    std::set<std::size_t> lacking_;
    MonotonicTime lacking_since_;
    std::size_t host_ = 0;  // the one that answered last
    Lsn compare_from_;      // the server has removed what is before
    std::string last_logged_;
    std::optional<MonotonicTime> last_logged_at_;
    std::chrono::milliseconds pause_{0};
};

}  // namespace coffer::streamer
