#include "streamer/wal_stream.h"

#include <algorithm>
#include <utility>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace coffer::streamer {
namespace {

constexpr std::chrono::seconds status_interval{4};   // well below the server's wal_sender_timeout (upstream.cpp)
constexpr std::chrono::seconds longest_silence{15};  // asked for an answer several times meanwhile
constexpr std::chrono::seconds answer_limit{2};
constexpr std::chrono::seconds room_interval{1};
// A server that shuts down waits for all that it sent to be acknowledged, as long as it hears of us.
constexpr std::chrono::seconds longest_without_room{10};
constexpr std::uint64_t most_unsynced = 4 << 20;

// With a limit so little that pauses are a quarter of a second: keepalives are answered, and the end is heard.
std::uint64_t most_at_once(std::uint64_t limit) {
    return limit == 0 ? most_unsynced : std::clamp<std::uint64_t>(limit / 4, 64 << 10, most_unsynced);
}

}  // namespace

WalStream::WalStream(pg::PgConn& conn, ReceiverContext& context, wal::SegmentSize size, const Begin& begin,
                     std::function<void()> began)
    : conn_(conn),
      context_(context),
      size_(size),
      timeline_(begin.timeline),
      position_(begin.stream_from()),
      compare_found_(begin.compare_found),
      held_(begin.durable),
      began_(std::move(began)),
      most_unsynced_(most_at_once(context.server.streaming_bandwidth_limit)),
      throttle_(context.server.streaming_bandwidth_limit, context.clock,
                [this](std::chrono::microseconds wait) {
                    if (!context_.pause(std::chrono::ceil<std::chrono::milliseconds>(wait))) {
                        throw Error(ErrorCode::canceled, "stopped while it kept to streaming_bandwidth_limit");
                    }
                }),
      last_message_(context.clock.monotonic()),
      next_status_(last_message_) {
    if (begin.tail) comparison_.emplace(*begin.tail);
}

std::optional<pg::NextTimeline> WalStream::run() {
    try {
        if (!comparison_) {
            durable_ = held_;
            began_();
        }
        acknowledge(false);
        while (!ended_) turn();
        return end();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) say_goodbye();
        throw;
    }
}

void WalStream::turn() {
    const short events = conn_.flush() ? POLLIN : POLLIN | POLLOUT;
    const MonotonicTime deadline = unanswered_since_ ? *unanswered_since_ + answer_limit : next_status_;
    more_waiting_ = more_waiting_ || conn_.wait(events, std::min(deadline, next_status_));
    if (more_waiting_) drain();
    if (unanswered_since_ && context_.clock.monotonic() >= *unanswered_since_ + answer_limit) {
        context_.exposure.silent();
        unanswered_since_.reset();
    }
    if (unsynced_ > 0) {
        publish();  // what waits is seen to wait, should the disk be slow
        sync();
        last_message_ = context_.clock.monotonic();  // the time that the disk took is not the server's silence
    }
    const bool due = context_.clock.monotonic() >= next_status_;
    if (due) check_silence();
    if (reply_wanted_ || due || durable_.lsn() > acknowledged_) acknowledge(due);
    publish();
    keep_to_limit();
}

// Only then: what is here is acknowledged first, so that a commit waits for others' bytes, never for its own.
void WalStream::keep_to_limit() {
    if (unpaced_ == 0 || context_.server.streaming_bandwidth_limit == 0) return;
    (void)conn_.flush();
    throttle_.took(std::exchange(unpaced_, 0));
    last_message_ = context_.clock.monotonic();  // nor is the time that was paused the server's silence
    if (unanswered_since_) unanswered_since_ = last_message_;
}

void WalStream::drain() {
    do {
        conn_.consume_input();
        more_waiting_ = take_messages();
        if (more_waiting_ || ended_) return;
    } while (conn_.wait(POLLIN, context_.clock.monotonic()));
}

// True when it stopped early, because enough is waiting to be synced.
bool WalStream::take_messages() {
    pg::CopyData message;
    while (unsynced_ < most_unsynced_) {
        const pg::CopyStep step = conn_.try_copy_data(message);
        if (step == pg::CopyStep::end) ended_ = true;
        if (step != pg::CopyStep::data) return false;
        last_message_ = context_.clock.monotonic();
        unanswered_since_.reset();
        std::visit([this](const auto& content) { take(content); }, pg::parse_stream_message(message.bytes()));
    }
    return true;
}

void WalStream::take(const pg::WalData& wal) {
    if (wal.start != position_) {
        throw Error(ErrorCode::protocol,
                    "the server sent WAL of " + wal.start.to_string() + " where " + position_.to_string() + " was due");
    }
    server_end_ = std::max(server_end_, wal.server_end);
    unpaced_ += wal.data.size();
    const ByteSpan data = comparison_ ? compare(wal.data) : wal.data;
    context_.exposure.heard(server_end_, last_message_);
    store(data);
}

// What of it goes on from what is held.
ByteSpan WalStream::compare(ByteSpan data) {
    const ByteSpan rest = comparison_->take(data);
    position_ = position_ + (data.size() - rest.size());
    if (!comparison_->done()) return {};
    comparison_.reset();
    durable_ = held_;
    began_();
    return rest;
}

void WalStream::take(const pg::Keepalive& keepalive) {
    server_end_ = std::max(server_end_, keepalive.server_end);
    context_.exposure.heard(server_end_, last_message_);
    reply_wanted_ = reply_wanted_ || keepalive.reply_requested;
}

void WalStream::store(ByteSpan data) {
    while (!data.empty()) {
        if (!segment_) {
            const auto segment = wal::Segment::containing(timeline_, position_, size_);
            with_room([&] {
                segment_.emplace(context_.server.streaming_wals_directory, segment, size_, position_,
                                 &context_.preallocator);
            });
            if (std::exchange(compare_found_, false)) segment_->compare_with_found();
        }
        const ByteSpan part = data.first(std::min<std::uint64_t>(data.size(), segment_->room()));
        with_room([&] { segment_->write(part); });
        position_ = position_ + part.size();
        unsynced_ += part.size();
        data = data.subspan(part.size());
        if (segment_->full()) finish_segment();
    }
}

// Repeats what found the disk full until there is room. The connection is kept alive with the old position meanwhile,
// and nothing is read, so that the server holds what comes next; after a while it is given up, and made again.
void WalStream::with_room(const std::function<void()>& action) {
    const MonotonicTime began = context_.clock.monotonic();
    for (bool waited = false;; waited = true) {
        try {
            action();
            waited = std::exchange(context_.told_of_no_room, false) || waited;
            if (waited) log_info("{}: there is room again, going on", context_.server.name);
            if (waited) context_.set_state(ReceiverState::streaming);
            if (waited) context_.board.update([](ReceiverStatus& status) { status.last_error.reset(); });
            return;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::no_space) throw;
            if (!std::exchange(context_.told_of_no_room, true)) {
                log_error("{}: {}", context_.server.name, error.full_text());
            }
            const Error shown = error.with_remedy("make room on the file system of " +
                                                  context_.server.streaming_wals_directory.string());
            context_.set_error(shown);
            context_.set_state(ReceiverState::no_space);
            publish();
            if (context_.clock.monotonic() - began > longest_without_room) throw shown;
        }
        if (unsynced_ > 0) sync();  // what found room must not wait for what did not
        acknowledge(false);
        (void)conn_.flush();
        if (!context_.pause(room_interval)) throw Error(ErrorCode::canceled, "stopped while the disk was full");
    }
}

void WalStream::sync() {
    try {
        const DurableLsn synced = segment_->sync_data();
        durable_ = std::max(durable_, synced);
    } catch (const Error&) {
        // Not durable_: that may be of another timeline's file of the same segment.
        context_.doubts.distrust(timeline_, segment_->synced(), segment_->written());
        throw;
    }
    unsynced_ = 0;
    context_.doubts.synced(timeline_, segment_->synced());
    context_.exposure.durable(durable_.lsn());
    context_.board.update([](ReceiverStatus& status) { ++status.syncs; });
}

void WalStream::finish_segment() {
    publish();
    sync();
    const wal::Segment segment = segment_->segment();
    // Before it is acknowledged: the server may then forget it, and a whole segment under an unfinished one's name
    // would have to be proven first.
    segment_->complete();
    segment_.reset();
    acknowledge(false);
    (void)conn_.flush();
    publish();
    context_.notify(SegmentCompleted{segment.name(size_), segment.timeline, size_.bytes()});
}

void WalStream::acknowledge(bool ask_for_answer) {
    const Lsn lsn = durable_.lsn();
    const auto message = pg::build_status_update({lsn, lsn, lsn, context_.clock.now(), ask_for_answer});
    conn_.put_copy_data(message);
    (void)conn_.flush();
    acknowledged_ = lsn;
    reply_wanted_ = false;
    const MonotonicTime now = context_.clock.monotonic();
    if (ask_for_answer && !unanswered_since_) unanswered_since_ = now;
    next_status_ = now + status_interval;
}

void WalStream::check_silence() const {
    if (context_.clock.monotonic() - last_message_ > longest_silence) {
        throw Error(ErrorCode::server_unreachable, "the server has been silent for 15 s", conn_.address());
    }
}

void WalStream::publish() {
    if (comparison_) return;
    context_.board.update([&](ReceiverStatus& status) {
        if (position_ > status.received) status.bytes += position_.value - status.received.value;
        status.received = position_;
        status.durable = durable_.lsn();
        status.server = std::max(server_end_, status.server);
        status.exposed_since = context_.exposure.exposed_since();
        const auto age = context_.clock.monotonic() - last_message_;
        status.last_message = context_.clock.now() - std::chrono::duration_cast<std::chrono::microseconds>(age);
    });
}

// The server ended the stream: because its timeline ends (it waits for our end), or because it shuts down.
std::optional<pg::NextTimeline> WalStream::end() {
    if (unsynced_ > 0) sync();
    const pg::PgResult result = conn_.next_result(context_.clock.monotonic() + std::chrono::seconds(30));
    publish();
    if (!result.ok()) {
        if (result.sqlstate() == "58P01") {
            throw Error(ErrorCode::wal_gap, "the server does not have the WAL any more: " + result.message(),
                        position_.to_string());
        }
        throw result.error("the server ended the stream");
    }
    if (comparison_) {
        throw Error(ErrorCode::server_unreachable, "the server ended the stream before it reached what is held here",
                    position_.to_string());
    }
    if (result.status() != PGRES_COPY_IN) return std::nullopt;
    acknowledge(false);
    conn_.put_copy_end();
    while (!conn_.flush()) (void)conn_.wait(POLLOUT, context_.clock.monotonic() + std::chrono::seconds(1));
    return pg::end_of_stream(conn_);
}

void WalStream::say_goodbye() noexcept {
    try {
        if (unsynced_ > 0) sync();
        acknowledge(false);
        conn_.put_copy_end();
        (void)conn_.flush();
        publish();
    } catch (const std::exception& error) {
        log_debug("{}: cannot take leave of the server: {}", context_.server.name, error.what());
    }
}

}  // namespace coffer::streamer
