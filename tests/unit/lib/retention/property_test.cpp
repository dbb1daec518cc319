// Years of a server's life, simulated: backups, failures, promotions, recoveries to an earlier moment, leases, and the
// retention policy applied every day. What was promised must stay restorable, and what was not must go. The oracle
// below knows nothing of the rules of lib/retention: it looks for a way to restore each moment.
#include <CppUTest/TestHarness.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/lib/retention/samples.h"

using namespace coffer;
using namespace coffer::retention;
using catalogue::BackupStatus;
using std::chrono::days;
using std::chrono::hours;

namespace {

const WallTime birth = WallTime(std::chrono::sys_days(std::chrono::year(2020) / 1 / 1));
constexpr int segments_per_hour = 2;

// The WAL that is held, by name and for a quick look.
class Archive {
  public:
    void add(TimelineId timeline, std::uint64_t segment) {
        auto& held = held_[timeline];
        held.resize(std::max<std::size_t>(held.size(), segment + 1));
        held[segment] = true;
        files_.push_back({sample_segment(segment, timeline), timeline, segment});
    }
    [[nodiscard]] bool has(TimelineId timeline, std::uint64_t segment) const {
        const auto held = held_.find(timeline);
        return held != held_.end() && segment < held->second.size() && held->second[segment];
    }
    void remove(const catalogue::WalRelease& release) {
        std::erase_if(files_, [&](const File& file) {
            if (!release.releases(file.name)) return false;
            held_[file.timeline][file.segment] = false;
            return true;
        });
    }
    struct File {
        std::string name;
        TimelineId timeline;
        std::uint64_t segment;
    };
    [[nodiscard]] const std::vector<File>& files() const { return files_; }

  private:
    std::map<TimelineId, std::vector<bool>> held_;
    std::vector<File> files_;
};

struct Moment {
    WallTime time;
    TimelineId timeline;
    std::uint64_t segment;  // that it was written in
};

class Life {
  public:
    Life(unsigned seed, bool linear) : random_(seed), linear_(linear) {
        segment_ = 100;
        policy_ = any_policy();
    }

    void live(int number_of_days) {
        for (int day = 0; day < number_of_days; ++day) live_a_day(true);
        // A quiet end: what no promise needs must be gone when it is over.
        for (Candidate& backup : backups_) backup.keep = Keep::none;
        const auto longest = std::max(policy_.main->window, policy_.wal_window.value_or(days(0)));
        const int quiet = static_cast<int>(longest / days(1)) + 12;
        for (int day = 0; day < quiet; ++day) live_a_day(false);
        check_nothing_else_stays();
    }

  private:
    bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
    int number(int from, int to) { return std::uniform_int_distribution<>(from, to)(random_); }

    Policy any_policy() {
        Policy policy;
        const std::string text = chance(0.4) ? fmt::format("REDUNDANCY {}", number(1, 6))
                                             : fmt::format("RECOVERY WINDOW OF {} DAYS", number(1, 40));
        policy = sample_policy(text.c_str(), static_cast<std::uint32_t>(number(0, 4)));
        if (chance(0.4)) policy.wal_window = days(number(1, 50));
        if (chance(0.4))
            policy.tiers = config::RetentionTiers::parse(
                               fmt::format("{} DAILY, {} MONTHLY, {} YEARLY", number(1, 9), number(1, 9), number(1, 3)))
                               .value();
        return policy;
    }

    void live_a_day(bool eventful) {
        for (int hour = 0; hour < 24; ++hour) {
            now_ += hours(1);
            if (eventful && !linear_ && chance(0.002)) promote();
            for (int i = 0; i < segments_per_hour; ++i) write_segment();
            moments_.push_back({now_, timeline_, segment_ - 1});
            const bool due = eventful ? chance(0.04) : hour == 3;
            if (due) back_up(eventful);
        }
        if (eventful && chance(0.02)) toggle_keep();
        std::vector<std::pair<Candidate, bool>> read;  // and whether it led to the present before
        for (Candidate& backup : backups_) {
            backup.leased = eventful && chance(0.01);
            if (backup.leased) read.emplace_back(backup, leads_to(backup, moments_.back()));
        }
        apply();
        for (const auto& [backup, led] : read)
            CHECK_TEXT(!led || leads_to(backup, moments_.back()), "WAL behind a backup that is being read is gone");
        check_promises();
    }

    void write_segment() {
        wal_.add(timeline_, segment_);
        timelines_.last_wal[timeline_] = now_;
        ++segment_;
    }

    void back_up(bool eventful) {
        Candidate backup = sample_backup(now_, segment_, timeline_);
        write_segment();
        write_segment();
        if (eventful && chance(0.1)) {
            backup.info.status = BackupStatus::failed;
            backup.files_kept = chance(0.5);
        } else if (eventful && chance(0.05)) {  // its WAL never came
            backup.wal_complete = false;
        }
        backups_.push_back(backup);
    }

    // A new timeline: from here on, or from an earlier moment on (the server was recovered to it).
    void promote() {
        std::uint64_t at = segment_;
        if (chance(0.5)) at -= std::min<std::uint64_t>(at - 50, static_cast<std::uint64_t>(number(1, 300)));
        // Back on a stretch of an ancestor, the history goes on from that one.
        std::vector<std::pair<TimelineId, std::uint64_t>> left;
        TimelineId from = timeline_;
        for (const auto& [ancestor, until] : left_[timeline_]) {
            if (at <= until) {
                from = ancestor;
                break;
            }
            left.emplace_back(ancestor, until);
        }
        left.emplace_back(from, at);
        ++timeline_;
        left_[timeline_] = left;
        timelines_.paths.emplace(timeline_, sample_path(timeline_, left));
        segment_ = at;
    }

    void toggle_keep() {
        if (backups_.empty()) return;
        Candidate& backup = backups_[static_cast<std::size_t>(number(0, static_cast<int>(backups_.size()) - 1))];
        if (backup.info.status != BackupStatus::done || !backup.wal_complete) return;
        backup.keep = backup.keep == Keep::none ? (chance(0.5) ? Keep::full : Keep::standalone) : Keep::none;
    }

    void apply() {
        const Decision decision = decide(backups_, timelines_, policy_, now_);
        std::vector<Candidate> left;
        judgements_.clear();
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            const Judgement& each = decision.backups[i];
            if (each.goes() && !backups_[i].leased) continue;
            left.push_back(backups_[i]);
            judgements_.push_back(each);
        }
        backups_ = std::move(left);
        if (decision.release) wal_.remove(*decision.release);
    }

    [[nodiscard]] const wal::TimelinePath path_to(TimelineId timeline) const {
        const auto path = timelines_.paths.find(timeline);
        return path == timelines_.paths.end() ? wal::TimelinePath(timeline) : path->second;
    }

    [[nodiscard]] bool usable(const Candidate& backup) const {
        return backup.info.status == BackupStatus::done && backup.wal_complete;
    }

    // Is there all WAL from a backup up to the moment?
    [[nodiscard]] bool leads_to(const Candidate& backup, const Moment& moment) const {
        if (!usable(backup) || *backup.info.end_time > moment.time) return false;
        const wal::TimelinePath path = path_to(moment.timeline);
        if (!path.contains(backup.info.timeline, backup.info.end_xlog)) return false;
        const std::uint64_t begin = backup.info.begin_xlog.value / sample_size.bytes();
        if (backup.info.end_xlog.value / sample_size.bytes() > moment.segment) return false;
        for (std::uint64_t segment = begin; segment <= moment.segment; ++segment) {
            // Timelines change at the boundaries of segments here.
            const TimelineId on = path.timeline_at(Lsn{segment * sample_size.bytes() + 1});
            if (!wal_.has(on, segment)) return false;
        }
        return true;
    }
    [[nodiscard]] bool restorable(const Moment& moment) const {
        return std::any_of(backups_.rbegin(), backups_.rend(), [&](const auto& b) { return leads_to(b, moment); });
    }

    void check_promises() {
        // Each backup that stays can be restored itself.
        for (const Candidate& backup : backups_) {
            if (!usable(backup)) continue;
            for (const wal::Segment& segment : backup.info.required_segments())
                CHECK_TEXT(wal_.has(segment.timeline, segment.number), "WAL of a backup that stays is gone");
        }
        // A moment that could be restored yesterday can be restored today, while it lies in a window.
        std::chrono::seconds window = policy_.wal_window.value_or(policy_.main->window);
        std::set<WallTime> restorable_now;
        const auto first = std::lower_bound(moments_.begin(), moments_.end(), now_ - window,
                                            [](const Moment& moment, WallTime time) { return moment.time < time; });
        for (std::size_t at = static_cast<std::size_t>(first - moments_.begin()); at < moments_.size();
             at += static_cast<std::size_t>(number(1, 300))) {
            const Moment* const moment = &moments_[at];
            if (restorable(*moment)) {
                restorable_now.insert(moment->time);
            } else {
                CHECK_TEXT(!promised_before(*moment), "a moment within the window cannot be restored any more");
            }
        }
        restorable_.merge(restorable_now);
        // The server's present can be restored at any time, if it ever could be since its timeline was begun.
        const Moment& present = moments_.back();
        if (restorable(present)) {
            present_restorable_on_ = timeline_;
        } else {
            CHECK_TEXT(present_restorable_on_ != timeline_, "the present cannot be restored any more");
        }
    }

    // Could it, or one a little older on its timeline, be restored before?
    [[nodiscard]] bool promised_before(const Moment& moment) const {
        const auto next = restorable_.upper_bound(moment.time);
        if (next == restorable_.begin()) return false;
        const WallTime before = *std::prev(next);
        if (before < now_ - policy_.wal_window.value_or(policy_.main->window)) return false;
        const auto known = std::lower_bound(moments_.begin(), moments_.end(), before,
                                            [](const Moment& m, WallTime time) { return m.time < time; });
        return known != moments_.end() && known->timeline == moment.timeline;
    }

    void check_nothing_else_stays() {
        // Since it was quiet, all is on one timeline and nothing is read or kept, so it is plain what may stay.
        std::vector<Candidate> done;
        for (const Candidate& backup : backups_) {
            if (usable(backup)) done.push_back(backup);
            CHECK_TEXT(usable(backup), "a useless backup stays for ever");
        }
        const auto wanted = std::max(policy_.main->redundancy, policy_.minimum_redundancy);
        const auto opens = [&](std::chrono::seconds window) {
            std::size_t i = done.size() - 1;
            while (i > 0 && *done[i].info.end_time >= now_ - window) --i;
            return i;
        };
        for (std::size_t i = 0; i < done.size(); ++i) {
            const std::size_t newer = done.size() - 1 - i;
            bool promised = newer < wanted;
            if (policy_.main->redundancy == 0) promised |= i >= opens(policy_.main->window);
            if (policy_.wal_window) promised |= i == opens(*policy_.wal_window);
            promised |= judgements_[i].verdict == Verdict::tier;  // tiers_test.cpp
            CHECK_TEXT(promised, "a backup that nothing promises stays for ever");
        }
        std::string oldest_needed = sample_segment(~std::uint32_t{0}, timeline_);
        std::set<std::string> alone;
        for (std::size_t i = 0; i < done.size(); ++i) {
            for (const wal::Segment& one : done[i].info.required_segments()) alone.insert(one.name(sample_size));
            const bool behind = !policy_.wal_window || i >= opens(*policy_.wal_window);
            if (judgements_[i].verdict != Verdict::tier && behind)
                oldest_needed = std::min(oldest_needed, done[i].info.begin_wal);
        }
        for (const Archive::File& file : wal_.files())
            CHECK_TEXT(file.name >= oldest_needed || alone.count(file.name) == 1, "WAL that nothing promises stays");
    }

    std::mt19937 random_;
    const bool linear_;
    Policy policy_;
    WallTime now_ = birth;
    TimelineId timeline_ = 1;
    std::uint64_t segment_ = 0;
    std::vector<Candidate> backups_;
    std::vector<Judgement> judgements_;  // of the same
    Timelines timelines_;
    std::map<TimelineId, std::vector<std::pair<TimelineId, std::uint64_t>>> left_;
    Archive wal_;
    std::vector<Moment> moments_;
    std::set<WallTime> restorable_;
    TimelineId present_restorable_on_ = 0;
};

}  // namespace

TEST_GROUP(RetentionProperty){};

TEST(RetentionProperty, KeepsItsPromisesThroughYearsOnOneTimeline) {
    for (unsigned seed = 1; seed <= 5; ++seed) Life(seed, true).live(500);
}

TEST(RetentionProperty, KeepsItsPromisesThroughPromotionsAndRecoveries) {
    for (unsigned seed = 101; seed <= 109; ++seed) Life(seed, false).live(500);
}
