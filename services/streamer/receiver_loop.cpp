#include "streamer/receiver_loop.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/wal/gaps.h"
#include "lib/wal/segment_check.h"
#include "streamer/followed_timeline.h"
#include "streamer/proven_end.h"
#include "streamer/timeline_seed.h"

namespace coffer::streamer {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds longest_pause{1000};
constexpr milliseconds failed_pause{10000};
constexpr std::chrono::minutes log_interval{10};
constexpr std::chrono::minutes others_limit{1};

// What no trying again mends.
bool needs_a_person(ErrorCode code) {
    switch (code) {
        case ErrorCode::server_mismatch:
        case ErrorCode::slot_missing:
        case ErrorCode::invalid_configuration:
        case ErrorCode::permission_denied:
        case ErrorCode::not_supported:
        case ErrorCode::corrupt:
            return true;
        default:
            return false;
    }
}

}  // namespace

void ReceiverLoop::run() {
    for (;;) {
        milliseconds pause{0};
        try {
            session();
        } catch (const Error& error) {
            if (error.code() == ErrorCode::canceled) return;
            pause = failed(error);
        } catch (const std::exception& error) {
            pause = failed(Error(ErrorCode::internal, error.what()));
        }
        context_.exposure.disconnected();
        context_.board.update([&](ReceiverStatus& status) {
            status.connected_since.reset();
            status.exposed_since = context_.exposure.exposed_since();
        });
        if (!context_.pause(pause)) return;
    }
}

milliseconds ReceiverLoop::failed(const Error& error) {
    const Error shown = error.within(context_.server.name);
    const MonotonicTime now = context_.clock.monotonic();
    if (last_logged_ != shown.what() || !last_logged_at_ || now - *last_logged_at_ > log_interval) {
        log_message(LogLevel::warning, shown.full_text(), {{"SERVER", context_.server.name}});
        last_logged_ = shown.what();
        last_logged_at_ = now;
    }
    context_.set_error(error);
    if (error.code() == ErrorCode::wal_gap) removed_ = asked_for_;
    const bool stuck = needs_a_person(error.code());
    context_.set_state(stuck                                 ? ReceiverState::failed
                       : error.code() == ErrorCode::no_space ? ReceiverState::no_space
                                                             : ReceiverState::waiting);
    if (stuck) return failed_pause;
    const milliseconds pause = pause_;
    pause_ = std::min(longest_pause, pause_ * 2 + milliseconds(50));
    return pause;
}

void ReceiverLoop::session() {
    const auto state = context_.board.read().state;
    if (state == ReceiverState::stopped || state == ReceiverState::streaming)
        context_.set_state(ReceiverState::connecting);
    lock_directory();
    const HostChoice choice{host_, lacking_, [this](const Upstream& upstream) { refuse_old_timeline(upstream); }};
    Upstream upstream = open_upstream(context_.server, context_.stop_fd, choice);
    if (std::exchange(host_, upstream.host) != upstream.host) {
        // What another one had removed says nothing of this one.
        removed_.reset();
        compare_from_ = Lsn{};
    }
    context_.board.update([&](ReceiverStatus& status) {
        status.system_identifier = upstream.identity.system_identifier;
        status.server = upstream.identity.flush_position;
    });
    try {
        stream(upstream, begin_of(upstream));
    } catch (const Error& error) {
        const bool others = others_first(upstream, error);
        if (!others && error.code() != ErrorCode::server_mismatch) throw;
        const std::string remedy = others ? "the other hosts are asked first; " + error.remedy() : error.remedy();
        // Which of them it was.
        const std::string where = error.where().empty() ? upstream.conn.address() : error.where();
        throw Error(others ? ErrorCode::server_unreachable : error.code(), error.fact(), where, remedy);
    }
}

// Is it another host's turn before what this one said is final? Those that do not answer are waited for, but not for
// long: meanwhile nothing of this one is protected.
bool ReceiverLoop::others_first(const Upstream& upstream, const Error& error) {
    const bool final_word = error.code() != ErrorCode::wal_gap && error.code() != ErrorCode::server_mismatch;
    if (final_word || upstream.hosts < 2) return false;
    const MonotonicTime now = context_.clock.monotonic();
    if (lacking_.empty()) lacking_since_ = now;
    if (lacking_.insert(upstream.host).second) return true;
    return lacking_.size() < upstream.hosts && now - lacking_since_ < others_limit;
}

// Kept until the receiver ends, however it ends.
void ReceiverLoop::lock_directory() {
    if (lock_) return;
    const Path file = context_.server.streaming_wals_directory / ".coffer-streamer.lock";
    lock_ = catalogue::LockFile::try_lock(file, catalogue::LockFile::Mode::exclusive);
    if (lock_) return;
    throw Error(ErrorCode::busy, "another streamer receives into this directory",
                context_.server.streaming_wals_directory.string(),
                "stop the other one, or give this server another streaming_wals_directory");
}

// An old primary that came back: what it writes is not what the newer timeline's server writes.
void ReceiverLoop::refuse_old_timeline(const Upstream& upstream) const {
    const TimelineId held = newest_followed(context_.server);
    const TimelineId theirs = upstream.identity.timeline;
    if (theirs >= held) return;
    // Another host, or a standby's own upstream, may mend it.
    const bool waits = upstream.hosts > 1 || upstream.is_standby;
    throw Error(waits ? ErrorCode::server_unreachable : ErrorCode::server_mismatch,
                fmt::format("the server is on timeline {}, and WAL of timeline {} is held here: it has been replaced",
                            theirs, held),
                upstream.conn.address(),
                fmt::format("start the server of timeline {}; if this one shall go on in its place, move the files of "
                            "newer timelines out of streaming/ and wals/ and take a new backup",
                            held));
}

// By timeline, where the newest one ends. Where that cannot be read, streaming goes on without.
std::map<TimelineId, Lsn> ReceiverLoop::known_holes() const {
    std::map<TimelineId, Lsn> ends;
    try {
        for (const wal::WalGap& gap : wal::read_gaps(context_.server)) {
            ends[gap.timeline] = std::max(ends[gap.timeline], gap.to);
        }
    } catch (const Error& error) {
        log_warning("{}: {}", context_.server.name, error.full_text());
    }
    return ends;
}

ReceiverLoop::Held ReceiverLoop::held_of(const Upstream& upstream) const {
    const auto valid_end = [&](const Path& partial, const wal::Segment& segment) {
        wal::Expected expected;
        expected.segment = segment;
        expected.size = upstream.size;
        expected.system_identifier = upstream.identity.system_identifier;
        const Lsn end = proven_end(context_.server, partial, expected);
        return std::max(segment.begin(upstream.size), context_.doubts.believed(segment.timeline, end));
    };
    const auto not_synced = [&](const wal::Segment& segment) {
        context_.doubts.distrust(segment.timeline, segment.begin(upstream.size), segment.end(upstream.size));
    };
    const auto completed = [&](const wal::Segment& segment) {
        const std::string name = segment.name(upstream.size);
        log_info("{}: {} was whole already and is handed over", context_.server.name, name);
        context_.notify(SegmentCompleted{name, segment.timeline, upstream.size.bytes()});
    };
    const HeldWalQuestion question{context_.server.streaming_wals_directory,
                                   context_.server.wals_directory,
                                   upstream.size,
                                   valid_end,
                                   completed,
                                   not_synced,
                                   known_holes()};
    Held held{find_held_wal(question), {}};
    if (!removed_) return held;
    for (const auto& [timeline, end] : held.ends) {
        if (const auto run = next_run(question, timeline, end.lsn())) held.behind.emplace(timeline, *run);
    }
    return held;
}

StartQuestion ReceiverLoop::question_of(const Upstream& upstream, const Held& held) const {
    StartQuestion question;
    question.size = upstream.size;
    question.path = upstream.path;
    question.server_end = upstream.identity.flush_position;
    question.slot_restart = upstream.slot_restart;
    question.removed = removed_;
    for (const auto& [timeline, end] : held.ends) question.held[timeline] = end.lsn();
    for (const auto& [timeline, run] : held.behind) question.behind[timeline] = {run.begin, run.end.lsn()};
    return question;
}

WalStream::Begin ReceiverLoop::begin_of(Upstream& upstream) {
    const auto held = held_of(upstream);
    Start start = decide_start(question_of(upstream, held));
    if (start.server_behind) {
        // It told its end before: meanwhile archive_command may have brought what was written since.
        upstream.identity.flush_position = pg::identify_system(upstream.conn).flush_position;
        start = decide_start(question_of(upstream, held));
    }
    report(upstream, start);
    WalStream::Begin begin{start.timeline, start.lsn, {}};
    if (start.continues_held) {
        const DurableLsn end = held.ends.at(start.timeline);
        begin.durable = end.lsn() == start.lsn ? end : held.behind.at(start.timeline).end;
        begin.tail = tail_of(upstream, start);
    }
    begin.compare_found = !begin.tail;
    return begin;
}

std::optional<HeldTail> ReceiverLoop::tail_of(const Upstream& upstream, const Start& start) const {
    auto tail = read_held_tail(context_.server, upstream.size, start.timeline, start.lsn, compare_from_);
    if (!tail) {
        log_info("{}: nothing before {} can be compared with what the server has", context_.server.name,
                 start.lsn.to_string());
    }
    return tail;
}

void ReceiverLoop::report(const Upstream& upstream, const Start& start) {
    // A primary has written everything that it ever sent; a standby may have received less.
    if (start.server_behind && !upstream.is_standby) {
        throw Error(
            ErrorCode::server_mismatch,
            fmt::format(
                "the server has WAL of timeline {} up to {} only, less than the {} held here: the histories have "
                "diverged",
                start.timeline, upstream.identity.flush_position.to_string(), start.lsn.to_string()),
            upstream.conn.address(), diverged_remedy);
    }
    if (start.server_behind) {
        throw Error(ErrorCode::server_unreachable,
                    fmt::format("the server has WAL up to {} only, less than the {} held here",
                                upstream.identity.flush_position.to_string(), start.lsn.to_string()),
                    upstream.conn.address(), "it is a standby that is behind; streaming waits for it");
    }
    if (start.diverged) {
        log_warning(
            "{}: WAL up to {} is held here that is not in the history of timeline {}; it is kept, and streaming "
            "goes on from {} of timeline {}",
            context_.server.name, start.diverged->to_string(), upstream.path.present(), start.lsn.to_string(),
            start.timeline);
    }
    if (start.gap) record_gap(*start.gap);
}

void ReceiverLoop::record_gap(const wal::WalGap& gap) {
    const std::string text = gap.to_string();
    if (context_.board.read().last_gap == text) return;
    log_error("{}: WAL is missing for ever: {}; the server has removed it. Take a new backup now", context_.server.name,
              text);
    wal::note_gap(context_.server, gap, context_.clock.now());
    context_.board.update([&](ReceiverStatus& status) { status.last_gap = text; });
}

void ReceiverLoop::streaming_began(const Upstream& upstream, const WalStream::Begin& begin, bool same_connection) {
    compare_from_ = Lsn{};
    context_.exposure.connected(upstream.identity.flush_position, begin.durable.lsn(),
                                same_connection ? context_.clock.monotonic() : upstream.asked_at);
    context_.board.update([&](ReceiverStatus& status) {
        status.timeline = begin.timeline;
        status.received = begin.lsn;
        status.durable = begin.durable.lsn();
        status.connected_since = context_.clock.now();
        if (std::exchange(streamed_before_, true) && !same_connection) ++status.reconnects;
        status.last_error.reset();
    });
    context_.set_state(ReceiverState::streaming);
    log_info("{}: streaming timeline {} from {}", context_.server.name, begin.timeline, begin.lsn.to_string());
}

// Without room for the note streaming goes on: it is made at the next connection.
void ReceiverLoop::note_timeline(TimelineId timeline) const {
    try {
        note_followed(context_.server, timeline);
    } catch (const Error& error) {
        log_warning("{}: cannot note that timeline {} is streamed: {}", context_.server.name, timeline, error.what());
    }
}

// Where streaming begins at the first segment of a timeline.
void ReceiverLoop::seed(const Upstream& upstream, const WalStream::Begin& begin) const {
    const auto& steps = upstream.path.steps();
    for (std::size_t i = 1; i < steps.size(); ++i) {
        if (steps[i].timeline != begin.timeline || !steps[i - 1].end) continue;
        const Lsn at = *steps[i - 1].end;
        const auto first = wal::Segment::containing(begin.timeline, at, upstream.size);
        if (first.begin(upstream.size) != begin.lsn) continue;
        seed_timeline(context_.server, upstream.size, steps[i - 1].timeline, begin.timeline, at);
    }
}

std::optional<pg::NextTimeline> ReceiverLoop::run(WalStream& stream, const WalStream::Begin& begin,
                                                  wal::SegmentSize size) {
    const MonotonicTime started = context_.clock.monotonic();
    const auto settle = [&] {
        // One that lasted may be followed by the next at once, however often that happens.
        if (context_.clock.monotonic() - started >= longest_pause) pause_ = milliseconds(0);
        // Received is not enough: where syncing fails, the next attempt must not follow at once.
        if (!(stream.durable().lsn() > begin.durable.lsn())) return;
        removed_.reset();
        lacking_.clear();
        pause_ = milliseconds(0);
        last_logged_.clear();
    };
    try {
        const auto next = stream.run();
        settle();
        return next;
    } catch (const Error& error) {
        settle();
        if (!stream.comparing()) throw;
        if (error.code() == ErrorCode::server_mismatch) mind_damaged_tail(begin, size);
        if (error.code() != ErrorCode::wal_gap) throw;
        // Only what was to be compared is gone, as far as one knows: next time with less of it, in the end with none.
        const Lsn last_segment{begin.lsn.value - begin.lsn.value % size.bytes()};
        compare_from_ = begin.tail->from < last_segment ? last_segment : begin.lsn;
        throw Error(ErrorCode::server_unreachable,
                    "the server has removed the WAL that what is held here was to be compared with",
                    begin.tail->from.to_string(), "nothing is to be done, streaming goes on with less compared");
    } catch (...) {
        settle();
        throw;
    }
}

// What differs may be the file here: then it is no judge, and the next session compares nothing with it.
void ReceiverLoop::mind_damaged_tail(const WalStream::Begin& begin, wal::SegmentSize size) {
    const auto damaged = damaged_file(*begin.tail, size);
    if (!damaged) return;
    compare_from_ = begin.lsn;
    throw Error(ErrorCode::server_unreachable, "a segment held here is damaged, and cannot be compared with what comes",
                damaged->string(), "streaming goes on without; look at the disk, and take a new backup");
}

void ReceiverLoop::stream(Upstream& upstream, WalStream::Begin begin) {
    if (!begin.tail) store_histories(context_.server, upstream.histories);
    seed(upstream, begin);
    for (bool same_connection = false;; same_connection = true) {
        asked_for_ = begin.lsn;
        const std::string slot = context_.server.slot_name.value_or("");
        const pg::PgResult answer = pg::start_replication(upstream.conn, slot, begin.stream_from(), begin.timeline);
        if (answer.sqlstate() == "42704") {  // undefined_object
            throw Error(ErrorCode::slot_missing, "replication slot does not exist", slot, "set create_slot = auto");
        }
        if (answer.sqlstate() == "55000" && !slot.empty()) {  // object_not_in_prerequisite_state
            throw Error(ErrorCode::slot_missing, "replication slot cannot be used: " + answer.message(), slot,
                        "if it was invalidated, drop it: SELECT pg_drop_replication_slot('" + slot +
                            "'); create_slot = auto makes it anew");
        }
        if (!answer.ok()) throw answer.error("cannot start streaming");
        std::optional<pg::NextTimeline> next;
        DurableLsn durable;
        if (answer.status() == PGRES_COPY_BOTH) {
            const auto began = [&] {
                store_histories(context_.server, upstream.histories);
                note_timeline(std::max(begin.timeline, upstream.path.present()));
                streaming_began(upstream, begin, same_connection);
            };
            WalStream stream(upstream.conn, context_, upstream.size, begin, began);
            next = run(stream, begin, upstream.size);
            durable = stream.durable();
        }
        if (!next)
            throw Error(ErrorCode::server_unreachable, "the server ended the stream, it shuts down",
                        upstream.conn.address());
        log_info("{}: timeline {} ended at {}, timeline {} follows", context_.server.name, begin.timeline,
                 next->begin.to_string(), next->timeline);
        if (next->timeline <= begin.timeline) {
            throw Error(ErrorCode::protocol, "the server named no newer timeline", upstream.conn.address());
        }
        store_history(upstream.conn, context_.server, next->timeline);
        seed_timeline(context_.server, upstream.size, begin.timeline, next->timeline, next->begin);
        const auto segment = wal::Segment::containing(next->timeline, next->begin, upstream.size);
        // What was received of the old timeline behind the switch says nothing of the new one.
        begin = {next->timeline, segment.begin(upstream.size), durable.lsn() <= next->begin ? durable : DurableLsn{}};
    }
}

}  // namespace coffer::streamer
