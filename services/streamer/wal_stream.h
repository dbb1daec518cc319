#pragma once
// The heart: receives one timeline's WAL over a connection in COPY mode, and acknowledges what is durable.
//
// In a loop: take everything the socket holds, write it, one fdatasync, one status update with write = flush = apply.
// So commits that arrive together are acknowledged together, and nothing waits for a timer. Used by the receiver's
// thread.
//
// Where something is held already, the stream begins a little before its end, and what comes is compared with it: until
// that is done nothing is written and nothing acknowledged.
#include "lib/pace/throttle.h"
#include "lib/pg/conn.h"
#include "lib/pg/messages.h"
#include "lib/pg/replication.h"
#include "streamer/held_tail.h"
#include "streamer/receiver_context.h"
#include "streamer/segment_file.h"

namespace coffer::streamer {

class WalStream {
  public:
    struct Begin {
        TimelineId timeline = 0;
        Lsn lsn;             // of the first byte to write
        DurableLsn durable;  // none when nothing before lsn is held
        std::optional<HeldTail> tail = {};
        // Without a tail: what is received of the first segment over what its file holds must be the same.
        bool compare_found = false;
        [[nodiscard]] Lsn stream_from() const noexcept { return tail ? tail->from : lsn; }
    };
    // began: called when what comes is found to go on from what is held, before the first byte is written.
    WalStream(pg::PgConn& conn, ReceiverContext& context, wal::SegmentSize size, const Begin& begin,
              std::function<void()> began);

    // Until the timeline ends (its successor), or the server shuts down in good order (nullopt). Throws
    // server_unreachable, wal_gap (the server has removed what was asked for), server_mismatch (other WAL than what is
    // held), no_space, io, protocol, and canceled when told to stop, after everything received was made durable and
    // acknowledged.
    std::optional<pg::NextTimeline> run();

    [[nodiscard]] DurableLsn durable() const noexcept { return durable_; }
    [[nodiscard]] bool comparing() const noexcept { return comparison_.has_value(); }

  private:
    void turn();
    void drain();
    bool take_messages();
    void take(const pg::WalData& wal);
    void take(const pg::Keepalive& keepalive);
    [[nodiscard]] ByteSpan compare(ByteSpan data);
    void store(ByteSpan data);
    void with_room(const std::function<void()>& action);
    void sync();
    void finish_segment();
    void acknowledge(bool ask_for_answer);
    void keep_to_limit();
    void publish();
    void say_goodbye() noexcept;
    std::optional<pg::NextTimeline> end();
    void check_silence() const;

    pg::PgConn& conn_;
    ReceiverContext& context_;
    wal::SegmentSize size_;
    TimelineId timeline_;
    Lsn position_;  // of the next byte expected
    bool compare_found_;
    DurableLsn held_;  // durable, and not yet compared with what the server has
    DurableLsn durable_;
    std::optional<TailComparison> comparison_;
    std::function<void()> began_;
    Lsn acknowledged_;
    Lsn server_end_;
    std::optional<SegmentFile> segment_;
    std::uint64_t unsynced_ = 0;
    std::uint64_t most_unsynced_;
    std::uint64_t unpaced_ = 0;  // received, and not counted for streaming_bandwidth_limit yet
    pace::Throttle throttle_;
    bool reply_wanted_ = false;
    bool ended_ = false;
    bool more_waiting_ = true;  // what came with the answer to START_REPLICATION lies in libpq already
    MonotonicTime last_message_;
    std::optional<MonotonicTime> unanswered_since_;  // an answer was asked for, and nothing was heard since
    MonotonicTime next_status_;
};

}  // namespace coffer::streamer
