#include "lib/restore/recovery_end.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/catalogue/wal_proof.h"
#include "lib/restore/tail.h"

namespace coffer::restore {
namespace {

using namespace std::chrono_literals;

// end_time is the box's clock, commit times are the server's: only when the target is later than this behind the end of
// the backup, it is not read whether a commit during the backup would stop recovery too early.
constexpr auto clock_margin = 15min;
// How far back the last commit is looked for when it is only to be told, not needed.
constexpr std::size_t segments_back_for_information = 16;

// What one segment holds of transactions (records that begin in it).
struct SegmentFacts {
    std::optional<WallTime> latest;  // time of a commit or abort
    std::optional<Landmark> last;    // the last commit or abort
    Lsn valid_end;
    std::string reason;
};

class Search {
  public:
    explicit Search(const RecoveryQuestion& question) : q_(question) {}

    RecoveryEnd run() {
        require_consistency();
        switch (q_.target.kind) {
            case TargetKind::immediate:
                return {*q_.chain.index_of(last_byte_of_backup()), q_.backup.end_xlog, {}, {}, {}};
            case TargetKind::end:
                return to_end();
            case TargetKind::time:
                return to_time();
            case TargetKind::lsn:
                return to_lsn();
            case TargetKind::xid:
            case TargetKind::name:
                return to_record();
        }
        throw Error(ErrorCode::internal, "unknown kind of target");
    }

  private:
    [[nodiscard]] Lsn last_byte_of_backup() const { return Lsn{q_.backup.end_xlog.value - 1}; }
    // Recovery must read the record at which it stops whole, and one segment more, whatever it looks ahead for.
    [[nodiscard]] std::size_t last_piece_for(const Landmark& mark) const {
        const std::size_t last = q_.chain.pieces.size() - 1;
        const std::size_t begins_in = q_.chain.index_of(mark.start).value_or(last);
        const std::size_t ends_in = q_.chain.index_of(Lsn{mark.end.value - 1}).value_or(last);
        return std::min(std::max(begins_in + 1, ends_in), last);
    }
    [[nodiscard]] Lsn segment_end(std::size_t index) const { return q_.chain.pieces[index].segment.end(q_.chain.size); }

    void check_canceled() const {
        if (q_.canceled && q_.canceled()) throw Error(ErrorCode::canceled, "the restore was canceled");
    }

    [[noreturn]] void refuse_gap(const std::string& missing, const std::string& why) const {
        throw Error(
            ErrorCode::wal_gap, why, missing,
            "look for this file on the server (pg_wal) or in errors/ and put it into incoming/; or choose a target "
            "before the gap, or a later backup");
    }
    [[nodiscard]] std::string reachable(const SegmentFacts& facts) const {
        std::string text = "WAL is held up to " + facts.valid_end.to_string();
        if (facts.last) {
            text +=
                fmt::format("; the last transaction in it is {} at {}", facts.last->xid, format_utc(facts.last->time));
        }
        return text + "; restore without a target to get all of it";
    }

    ReadingEnd read(std::size_t first, const LandmarkHandler& handler) const {
        std::uint32_t count = 0;
        return read_landmarks(q_.server, q_.chain, first, q_.identity, [&](const Landmark& mark) {
            if (++count % 4096 == 0) check_canceled();
            return handler(mark);
        });
    }

    // All that a backup needs to be a consistent database at all.
    void require_consistency() const {
        if (!q_.chain.index_of(q_.backup.begin_xlog)) {
            refuse_gap(q_.chain.next, "WAL from the beginning of the backup is missing");
        }
        if (!q_.chain.index_of(last_byte_of_backup())) {
            refuse_gap(q_.chain.next, "WAL written during the backup is missing");
        }
        for (std::size_t i = 0; i + 1 < q_.chain.pieces.size(); ++i) {
            const WalPiece& piece = q_.chain.pieces[i];
            if (piece.partial() && !is_complete(piece)) {
                refuse_gap(piece.segment.name(q_.chain.size),
                           "this segment is only partly held although later ones are");
            }
        }
        const std::size_t index = *q_.chain.index_of(last_byte_of_backup());
        if (!q_.chain.pieces[index].partial() && !q_.chain.pieces[index].keep_bytes)
            return catalogue::prove_wal(q_.server, q_.backup);
        const SegmentFacts facts = facts_of(index, {});
        if (facts.valid_end < q_.backup.end_xlog) {
            refuse_gap(q_.chain.pieces[index].segment.name(q_.chain.size),
                       fmt::format("WAL written during the backup is missing: held up to {}, needed up to {}",
                                   facts.valid_end.to_string(), q_.backup.end_xlog.to_string()));
        }
        catalogue::prove_wal(q_.server, q_.backup);
    }
    [[nodiscard]] bool is_complete(const WalPiece& piece) const {
        wal::SegmentChecker checker = checker_for(q_.chain, piece, q_.identity);
        read_piece(q_.server, q_.chain, piece, [&](ByteSpan bytes) {
            checker.add(bytes);
            return true;
        });
        return checker.result().complete;
    }

    // Reads on into the next segment until the record that begins in this one is whole.
    [[nodiscard]] SegmentFacts facts_of(std::size_t index, Lsn from) const {
        check_canceled();
        SegmentFacts facts;
        const Lsn end = segment_end(index);
        const ReadingEnd reading = read(index, [&](const Landmark& mark) {
            if (mark.start >= end) return false;
            facts.valid_end = mark.end;
            if (mark.kind == Landmark::Kind::transaction_end && mark.start >= from) {
                facts.latest = std::max(facts.latest.value_or(mark.time), mark.time);
                facts.last = mark;
            }
            return true;
        });
        facts.reason = reading.reason;
        if (reading.stopped) facts.valid_end = std::max(facts.valid_end, end);
        facts.valid_end = std::max(facts.valid_end, reading.valid_end);
        return facts;
    }

    // The newest commit or abort held, and where WAL ends.
    [[nodiscard]] SegmentFacts last_facts(std::size_t how_far_back) const {
        const std::size_t last = q_.chain.pieces.size() - 1;
        const std::size_t first = *q_.chain.index_of(last_byte_of_backup());
        SegmentFacts facts = facts_of(last, q_.backup.end_xlog);
        // An unfinished segment may hold nothing but the end of a record of the one before.
        if (!facts.valid_end.valid()) facts.valid_end = q_.chain.pieces[last].segment.begin(q_.chain.size);
        for (std::size_t i = last; !facts.last && i > first && last - i < how_far_back;) {
            const SegmentFacts earlier = facts_of(--i, q_.backup.end_xlog);
            facts.latest = earlier.latest;
            facts.last = earlier.last;
        }
        return facts;
    }

    [[nodiscard]] RecoveryEnd to_end() const {
        if (q_.chain.hole) {
            refuse_gap(*q_.chain.hole, fmt::format("WAL is missing in between: held without a hole up to {} only",
                                                   q_.chain.end().to_string()));
        }
        const std::size_t last = q_.chain.pieces.size() - 1;
        const WalPiece& piece = q_.chain.pieces[last];
        SegmentFacts facts = last_facts(segments_back_for_information);
        // Recovery would end at the damage as if there were no more WAL.
        if (!piece.partial() && !piece.keep_bytes && !is_complete(piece)) {
            throw Error(
                ErrorCode::corrupt,
                fmt::format("the last wal segment is damaged behind {}: {}", facts.valid_end.to_string(), facts.reason),
                piece.file.path.string(),
                "fetch this segment from the server (pg_wal) if it still has it; or choose a target before "
                "this LSN");
        }
        std::string warning = piece.partial() ? warning_of_tail(piece, facts) : std::string();
        return {last, facts.valid_end, time_of(facts), xid_of(facts), std::move(warning)};
    }
    // The streamer may be writing: only an end that does not move is one.
    [[nodiscard]] std::string warning_of_tail(const WalPiece& piece, SegmentFacts& facts) const {
        while (log_goes_on_behind(q_.server, q_.chain, piece, facts.valid_end)) {
            SegmentFacts now = last_facts(segments_back_for_information);
            if (now.valid_end > facts.valid_end) {
                facts = std::move(now);
                continue;
            }
            return fmt::format(
                "the log held ends at {} ({}), but there are bytes behind it: {} is damaged there, or "
                "was torn by a power cut. Commits behind this position are missing; look for this "
                "segment on the server (pg_wal)",
                facts.valid_end.to_string(), facts.reason, piece.file.path.string());
        }
        return {};
    }

    static std::optional<WallTime> time_of(const SegmentFacts& facts) {
        return facts.last ? std::optional(facts.last->time) : std::nullopt;
    }
    static std::optional<std::uint32_t> xid_of(const SegmentFacts& facts) {
        return facts.last ? std::optional(facts.last->xid) : std::nullopt;
    }

    [[noreturn]] void refuse_unreached(const std::string& what, const SegmentFacts& facts) const {
        if (q_.chain.hole) refuse_gap(*q_.chain.hole, what + ", and WAL is missing behind it");
        throw Error(ErrorCode::target_unreachable, what, q_.target.describe(), reachable(facts));
    }

    [[nodiscard]] bool later_than_target(WallTime time) const {
        return q_.target.inclusive ? time > q_.target.time : time >= q_.target.time;
    }

    [[nodiscard]] RecoveryEnd to_time() const {
        require_no_stop_within_backup();
        const SegmentFacts facts = last_facts(q_.chain.pieces.size());
        if (!facts.latest || !later_than_target(*facts.latest)) {
            if (const auto earlier = stop_of_a_faster_clock(facts)) return stop_in(*earlier);
            const std::string last = facts.last ? "the last commit held is of " + format_utc(facts.last->time)
                                                : std::string("no commit is held behind the backup");
            refuse_unreached("the target time is not before the last commit held (" + last + ")", facts);
        }
        std::size_t answer = q_.chain.pieces.size() - 1;
        std::size_t low = *q_.chain.index_of(last_byte_of_backup());
        for (std::size_t limit = answer; low < limit;) {
            const std::size_t middle = low + (limit - low) / 2;
            // A segment without commits says nothing: look at those behind it.
            std::size_t probe = middle;
            SegmentFacts found = facts_of(probe, q_.backup.end_xlog);
            while (!found.latest && probe + 1 < limit) found = facts_of(++probe, q_.backup.end_xlog);
            if (found.latest && !later_than_target(*found.latest)) {
                low = probe + 1;
            } else {
                limit = middle;
                if (found.latest) answer = probe;
            }
        }
        return stop_in(answer);
    }

    // Commit times go back a little where a server with a slower clock took over: then an earlier commit may be later
    // than the target though the last is not. The piece that holds one.
    [[nodiscard]] std::optional<std::size_t> stop_of_a_faster_clock(const SegmentFacts& facts) const {
        if (!facts.latest || q_.target.time > *facts.latest + clock_margin) return std::nullopt;
        std::optional<std::size_t> found;
        read(*q_.chain.index_of(last_byte_of_backup()), [&](const Landmark& mark) {
            if (mark.kind != Landmark::Kind::transaction_end || mark.start < q_.backup.end_xlog) return true;
            if (later_than_target(mark.time)) found = q_.chain.index_of(mark.start);
            return !found;
        });
        return found;
    }

    // The exact place within the segment, for the plan.
    [[nodiscard]] RecoveryEnd stop_in(std::size_t index) const {
        RecoveryEnd end{std::min(index + 1, q_.chain.pieces.size() - 1), {}, {}, {}, {}};
        read(index, [&](const Landmark& mark) {
            if (mark.kind != Landmark::Kind::transaction_end || mark.start < q_.backup.end_xlog) return true;
            end.end = mark.start;
            end.last_piece = std::max(end.last_piece, last_piece_for(mark));
            if (later_than_target(mark.time)) return false;
            end.last_commit = mark.time;
            end.last_xid = mark.xid;
            end.last_transaction = mark.start;
            return true;
        });
        const std::size_t first = *q_.chain.index_of(last_byte_of_backup());
        for (std::size_t i = index; !end.last_commit && i > first && index - i < segments_back_for_information;) {
            const SegmentFacts earlier = facts_of(--i, q_.backup.end_xlog);
            end.last_commit = time_of(earlier);
            end.last_xid = xid_of(earlier);
            if (earlier.last) end.last_transaction = earlier.last->start;
        }
        return end;
    }

    void require_no_stop_within_backup() const {
        if (q_.backup.end_time && q_.target.time > *q_.backup.end_time + clock_margin) return;
        // Commits from before the backup are in it, whatever is asked.
        const std::optional<WallTime> began = q_.backup.begin_time ? q_.backup.begin_time : q_.backup.end_time;
        if (began && q_.target.time < *began - clock_margin) refuse_before_backup();
        read(*q_.chain.index_of(q_.backup.begin_xlog), [&](const Landmark& mark) {
            if (mark.start >= q_.backup.end_xlog) return false;
            if (mark.start < q_.backup.begin_xlog || mark.kind != Landmark::Kind::transaction_end) return true;
            if (later_than_target(mark.time)) refuse_before_backup();
            return true;
        });
    }
    [[noreturn]] void refuse_before_backup() const {
        std::string ended = "this backup is consistent from " + q_.backup.end_xlog.to_string() + " on";
        if (q_.backup.end_time) ended += ", it ended at " + format_utc(*q_.backup.end_time);
        throw Error(ErrorCode::target_unreachable, "the target lies before the end of the backup", q_.target.describe(),
                    ended + "; choose an earlier backup ('auto' finds one for a time or an LSN)");
    }

    [[nodiscard]] RecoveryEnd to_lsn() const {
        if (q_.target.lsn < q_.backup.end_xlog) refuse_before_backup();
        const std::size_t last = q_.chain.pieces.size() - 1;
        const std::size_t first = q_.chain.index_of(q_.target.lsn).value_or(last);
        std::optional<Landmark> found;
        read(first, [&](const Landmark& mark) {
            if (mark.start < q_.target.lsn) return true;
            found = mark;
            return false;
        });
        if (!found)
            refuse_unreached("no record begins at the target or behind it", last_facts(segments_back_for_information));
        return {last_piece_for(*found), q_.target.inclusive ? found->end : found->start, {}, {}, {}};
    }

    [[nodiscard]] bool fits(const Landmark& mark) const {
        if (q_.target.kind == TargetKind::name) {
            return mark.kind == Landmark::Kind::restore_point && mark.name == q_.target.name;
        }
        return mark.kind == Landmark::Kind::transaction_end && mark.xid == q_.target.xid;
    }

    [[nodiscard]] RecoveryEnd to_record() const {
        std::optional<Landmark> found;
        RecoveryEnd end;
        read(*q_.chain.index_of(q_.backup.begin_xlog), [&](const Landmark& mark) {
            if (mark.start < q_.backup.begin_xlog) return true;
            if (fits(mark)) {
                found = mark;
                return false;
            }
            if (mark.kind == Landmark::Kind::transaction_end) {
                end.last_commit = mark.time;
                end.last_xid = mark.xid;
                if (mark.start >= q_.backup.end_xlog) end.last_transaction = mark.start;
            }
            return true;
        });
        if (!found) {
            const char* const what = q_.target.kind == TargetKind::name
                                         ? "there is no restore point of this name in the WAL held behind the backup"
                                         : "the end of this transaction is not in the WAL held behind the backup";
            refuse_unreached(what, last_facts(segments_back_for_information));
        }
        const bool after = q_.target.kind == TargetKind::name || q_.target.inclusive;
        end.end = after ? found->end : found->start;
        if (end.end < q_.backup.end_xlog) refuse_before_backup();
        if (after) end.last_transaction.reset();
        if (after && q_.target.kind == TargetKind::xid) {
            end.last_commit = found->time;
            end.last_xid = found->xid;
        }
        end.last_piece = last_piece_for(*found);
        return end;
    }

    const RecoveryQuestion& q_;
};

}  // namespace

RecoveryEnd find_recovery_end(const RecoveryQuestion& question) {
    return Search(question).run();
}

}  // namespace coffer::restore
