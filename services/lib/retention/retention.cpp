#include "lib/retention/retention.h"

#include <algorithm>

#include <fmt/format.h>

#include "lib/retention/tiers.h"

namespace coffer::retention {
namespace {

using catalogue::BackupInfo;
using catalogue::BackupStatus;

std::string day_text(WallTime time) {
    return catalogue::format_time(time).substr(0, 19) + " UTC";
}

class Judge {
  public:
    Judge(const std::vector<Candidate>& backups, const Timelines& timelines, const Policy& policy, WallTime now)
        : backups_(backups),
          timelines_(timelines),
          policy_(policy),
          now_(now),
          found_(backups.size()),
          orphan_(backups.size()) {}

    Decision decide() {
        for (std::size_t i = 0; i < backups_.size(); ++i) found_[i].backup_id = backups_[i].info.backup_id;
        if (policy_.main) {
            policy_.main->redundancy > 0 ? by_redundancy() : by_window();
            judge_unfinished();
            save_opener();
            save_by_tiers();
            judge_increments();
        } else {
            without_policy();
            judge_increments();
        }
        open_wal();
        tell_wal();
        Decision decision;
        decision.release = policy_.main || policy_.wal_window ? released() : std::nullopt;
        decision.opens_wal = opens_wal_;
        decision.next_change = next_change_;
        decision.backups = std::move(found_);
        return decision;
    }

  private:
    [[nodiscard]] const BackupInfo& info(std::size_t i) const { return backups_[i].info; }
    [[nodiscard]] bool is_done(std::size_t i) const { return info(i).status == BackupStatus::done; }
    // Barman's incremental ones share the fate of their full one.
    [[nodiscard]] bool is_candidate(std::size_t i) const { return is_done(i) && info(i).parent().empty(); }
    [[nodiscard]] WallTime end_of(std::size_t i) const { return info(i).end_time.value_or(WallTime::max()); }

    void set(std::size_t i, Verdict verdict, std::string why) {
        found_[i].verdict = verdict;
        found_[i].why = std::move(why);
    }

    bool kept(std::size_t i) {
        if (backups_[i].keep == Keep::none) return false;
        const bool full = backups_[i].keep == Keep::full;
        set(i, full ? Verdict::keep_full : Verdict::keep_standalone,
            full ? "it is kept with all WAL behind it, until cofferctl keep --release"
                 : "it is kept for itself alone, until cofferctl keep --release");
        return true;
    }

    // Says so, and is not counted.
    bool useless(std::size_t i) {
        if (backups_[i].sound()) return false;
        set(i, Verdict::none, fault(i) + ", so it counts for nothing");
        return true;
    }

    [[nodiscard]] std::string fault(std::size_t i) const {
        return backups_[i].damaged ? "the scrub found it damaged" : "WAL that it needs is missing";
    }

    void without_policy() {
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            if (kept(i)) continue;
            set(i, Verdict::none, "there is no retention_policy, so no backup is deleted");
        }
    }

    void by_redundancy() {
        const std::uint32_t wanted = std::max(policy_.main->redundancy, policy_.minimum_redundancy);
        const TimelineId current = current_timeline();
        std::uint32_t places = 0;
        bool reached = current == 0;  // from one of those that stay, the timeline that the server is on
        for (std::size_t i = backups_.size(); i-- > 0;) {
            if (!is_candidate(i)) continue;
            if (kept(i)) {
                if (!backups_[i].sound()) continue;
                ++places;
                reached |= backups_[i].keep == Keep::full && reaches(i, current);
            } else if (useless(i)) {
                // Not where without the fault it would be the one that leads to the server's timeline.
                if (places >= wanted && (reached || !reaches(i, current)))
                    set(i, Verdict::obsolete, fault(i) + ", and there are enough newer backups");
            } else if (places < wanted) {
                set(i, Verdict::valid, fmt::format("it is number {} of the {} newest", ++places, wanted));
                reached |= reaches(i, current);
            } else if (!reached) {
                reached = reaches(i, current);
                set(i, Verdict::valid,
                    fmt::format("the newer ones are not of the timeline that the server is on, which is {}", current));
            } else {
                set(i, Verdict::obsolete,
                    fmt::format("there are {} newer ones, as many as {} wants", wanted, policy_text()));
            }
        }
    }

    void by_window() {
        const WallTime point = now_ - policy_.main->window;
        std::uint32_t valid = 0;
        bool opened = false;
        for (std::size_t i = backups_.size(); i-- > 0;) {
            if (!is_candidate(i) || kept(i)) continue;
            if (opened) {
                const bool too_few = valid < policy_.minimum_redundancy;
                set(i, too_few ? Verdict::potentially_obsolete : Verdict::obsolete,
                    too_few
                        ? fmt::format("the policy needs it no more, but minimum_redundancy = {} does",
                                      policy_.minimum_redundancy)
                        : fmt::format("a newer one ended before {}, where {} begins", day_text(point), policy_text()));
            } else if (!useless(i)) {
                ++valid;
                opened = end_of(i) < point && reaches_all_since(i, point);
                if (end_of(i) >= point) note_change(end_of(i) + policy_.main->window);
                set(i, Verdict::valid,
                    opened
                        ? fmt::format("it is the one from which any moment since {} can be restored", day_text(point))
                        : fmt::format("it lies within {}", policy_text()));
            }
        }
    }

    [[nodiscard]] std::string policy_text() const { return "retention_policy = " + policy_.main->text; }

    // Can whatever can be restored from a newer one, or was written since that moment, be reached from this one, too?
    [[nodiscard]] bool reaches_all_since(std::size_t i, WallTime moment) const {
        for (std::size_t newer = i + 1; newer < backups_.size(); ++newer) {
            if (is_done(newer) && backups_[newer].sound() && !reaches(i, info(newer).timeline)) return false;
        }
        const TimelineId current = current_timeline();
        return std::all_of(timelines_.last_wal.begin(), timelines_.last_wal.end(), [&](const auto& each) {
            const auto& [timeline, written] = each;
            return (written < moment && timeline != current) || reaches(i, timeline);
        });
    }

    [[nodiscard]] bool reaches(std::size_t i, TimelineId timeline) const {
        if (timeline == info(i).timeline) return true;
        const auto path = timelines_.paths.find(timeline);
        // Without its history nobody can tell; it would not be restored from an older one either. Timeline 1 needs
        // none.
        if (path == timelines_.paths.end()) return timeline != 1;
        return path->second.contains(info(i).timeline, info(i).end_xlog);
    }

    // That WAL was last written on; 0: there is none.
    [[nodiscard]] TimelineId current_timeline() const {
        const auto last = std::max_element(timelines_.last_wal.begin(), timelines_.last_wal.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        return last == timelines_.last_wal.end() ? 0 : last->first;
    }

    // Those that are no candidates: FAILED, or waiting for WAL that may never come.
    void judge_unfinished() {
        const auto oldest_valid = std::find_if(found_.begin(), found_.end(),
                                               [](const Judgement& each) { return each.verdict == Verdict::valid; });
        const auto limit = static_cast<std::size_t>(oldest_valid - found_.begin());
        const bool any = oldest_valid != found_.end();
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            if (is_done(i)) {
                // A damaged one may still be mended, or restored for what can be read.
                const bool lacks_wal = is_candidate(i) && !backups_[i].damaged;
                if (lacks_wal && found_[i].verdict == Verdict::none && any && i < limit)
                    set(i, Verdict::obsolete,
                        "WAL that it needs is missing, and it is older than all that the policy wants");
                continue;
            }
            if (kept(i)) continue;
            const bool ended = (info(i).status == BackupStatus::failed && !info(i).unreadable) ||
                               info(i).status == BackupStatus::waiting_for_wals;
            if (ended && any && i < limit) {
                set(i, Verdict::obsolete,
                    fmt::format("it is {}, and older than all that the policy wants",
                                catalogue::name_of(info(i).status)));
            } else {
                set(i, Verdict::none, fmt::format("it is {}", catalogue::name_of(info(i).status)));
            }
        }
    }

    void save_by_tiers() {
        std::vector<TierCandidate> usable;
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            if (is_candidate(i) && backups_[i].wal_complete && info(i).end_time)
                usable.push_back({info(i).backup_id, *info(i).end_time, backups_[i].damaged});
        }
        const auto chosen = chosen_by_tiers(usable, policy_.tiers);
        for (Judgement& each : found_) {
            const auto tier = chosen.find(each.backup_id);
            if (tier == chosen.end() || each.verdict != Verdict::obsolete) continue;
            each.verdict = Verdict::tier;
            each.tier = tier->second;
            each.why = fmt::format("it is kept for itself alone by retention_tiers = {}", policy_.tiers.text);
            const auto damaged = std::any_of(usable.begin(), usable.end(), [&](const TierCandidate& one) {
                return one.damaged && one.backup_id == each.backup_id;
            });
            if (damaged) each.why += ", though the scrub found it damaged: no other one is of its time";
        }
    }

    void judge_increments() {
        std::map<std::string, std::size_t> by_id;
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            if (is_candidate(i)) by_id[info(i).backup_id] = i;
            if (info(i).parent().empty() || !is_done(i)) continue;
            const auto full = by_id.find(info(i).parent());
            orphan_[i] = full == by_id.end();
            if (orphan_[i]) {
                set(i, Verdict::none, "the backup that it is an increment of is not there");
                continue;
            }
            if (policy_.main) inherit(i, full->second);
            by_id[info(i).backup_id] = full->second;  // an increment of this one
        }
    }

    void inherit(std::size_t i, std::size_t full) {
        const std::string of =
            fmt::format("it is an increment of {}, which is {}", found_[full].backup_id, found_[full].status());
        const bool alone = found_[full].verdict == Verdict::keep_standalone || found_[full].verdict == Verdict::tier;
        const bool wanted =
            policy_.main->redundancy > 0 ? newer_than_valid(i) : end_of(i) >= now_ - policy_.main->window;
        if (alone) {
            set(i, wanted ? Verdict::valid : Verdict::obsolete, of);
        } else if (found_[full].verdict == Verdict::keep_full) {
            set(i, Verdict::valid, of);
        } else {
            set(i, found_[full].verdict, of);
        }
    }

    [[nodiscard]] bool newer_than_valid(std::size_t i) const {
        for (std::size_t older = 0; older < i; ++older) {
            if (is_candidate(older) && found_[older].verdict == Verdict::valid) return true;
        }
        return false;
    }

    // The newest of these backups from which any moment within the WAL window can be restored, else the oldest. marked:
    // as if nothing were damaged.
    template <typename Fits>
    std::optional<std::size_t> find_opener(const Fits& fits, bool marked = false) {
        std::optional<std::size_t> opens;
        for (std::size_t i = backups_.size(); i-- > 0;) {
            const bool usable = marked ? backups_[i].wal_complete : backups_[i].sound();
            if (!is_done(i) || orphan_[i] || !usable || !fits(i)) continue;
            opens = i;
            if (!policy_.wal_window) continue;
            const WallTime point = now_ - *policy_.wal_window;
            if (end_of(i) < point && reaches_all_since(i, point)) break;
            if (end_of(i) >= point) note_change(end_of(i) + *policy_.wal_window);
        }
        return opens;
    }

    // A WAL window may be longer than what the backups are kept for.
    void save_opener() {
        if (!policy_.wal_window) return;
        const auto may = [this](std::size_t i) {
            return is_candidate(i) && found_[i].verdict != Verdict::keep_standalone;
        };
        const std::string wants =
            "wal_retention_policy wants any moment restorable since " + day_text(now_ - *policy_.wal_window);
        const auto opens = find_opener(may);
        if (opens && found_[*opens].goes()) set(*opens, Verdict::valid, wants);
        // It may still be mended, and no other one leads there.
        const auto marked = find_opener(may, true);
        if (marked && (!opens || *marked < *opens) && found_[*marked].goes())
            set(*marked, Verdict::none, wants + ", and no other one leads there, though the scrub found it damaged");
    }

    // From which backup on any moment can be restored, and which are only good for themselves.
    void open_wal() {
        for (Judgement& each : found_) {
            each.standalone = each.verdict == Verdict::keep_standalone || each.verdict == Verdict::tier;
        }
        const auto may = [this](std::size_t i) { return !found_[i].standalone && !found_[i].goes(); };
        const auto opens = find_opener(may);
        if (!opens) return;
        opens_wal_ = behind_gaps(*opens);
        if (!policy_.wal_window) return;
        const std::size_t first = std::min(*opens, find_opener(may, true).value_or(*opens));
        for (std::size_t i = 0; i < first; ++i) {
            if (found_[i].standalone || found_[i].goes() || found_[i].verdict == Verdict::keep_full) continue;
            // One whose end is not known yet, or whose record cannot be read, may want everything.
            if (info(i).unreadable || info(i).begin_wal.empty() || info(i).end_wal.empty()) continue;
            if (info(i).status == BackupStatus::started || info(i).status == BackupStatus::syncing) continue;
            found_[i].standalone = true;
            found_[i].why +=
                "; for itself alone, since wal_retention_policy reaches back to backup " + info(*opens).backup_id;
        }
    }

    [[nodiscard]] catalogue::RemainingBackup remaining(std::size_t i) const {
        return {info(i), found_[i].standalone && !backups_[i].leased, backups_[i].files_kept};
    }

    [[nodiscard]] std::optional<catalogue::WalRelease> released() const {
        std::vector<catalogue::RemainingBackup> left;
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            if (!found_[i].goes() || backups_[i].leased) left.push_back(remaining(i));
        }
        return catalogue::wal_released(left);
    }

    void tell_wal() {
        for (std::size_t i = 0; i < backups_.size(); ++i) {
            const catalogue::RemainingBackup backup = remaining(i);
            if (found_[i].goes() || !catalogue::needs_wal(backup)) continue;
            found_[i].wal = backup.standalone ? WalKept::own : WalKept::all;
        }
    }

    // Told to people: WAL that never came is not behind any backup that began before it.
    [[nodiscard]] std::string behind_gaps(std::size_t opens) const {
        for (std::size_t i = opens; i < backups_.size(); ++i) {
            if (!is_done(i) || orphan_[i] || !backups_[i].sound() || found_[i].goes()) continue;
            const bool before_gap = std::any_of(timelines_.gaps.begin(), timelines_.gaps.end(), [&](const auto& gap) {
                return gap.timeline >= info(i).timeline && gap.to > info(i).begin_xlog;
            });
            if (!before_gap) return info(i).backup_id;
        }
        return {};
    }

    void note_change(WallTime at) {
        const WallTime just_after = at + std::chrono::seconds(1);
        if (!next_change_ || just_after < *next_change_) next_change_ = just_after;
    }

    const std::vector<Candidate>& backups_;
    const Timelines& timelines_;
    const Policy& policy_;
    const WallTime now_;
    std::vector<Judgement> found_;
    std::vector<bool> orphan_;  // increments of Barman's without what they are increments of
    std::string opens_wal_;
    std::optional<WallTime> next_change_;
};

}  // namespace

std::string Judgement::status() const {
    switch (verdict) {
        case Verdict::none:
            return "-";
        case Verdict::valid:
            return "VALID";
        case Verdict::potentially_obsolete:
            return "OBSOLETE*";
        case Verdict::obsolete:
            return "OBSOLETE";
        case Verdict::keep_full:
            return "KEEP:FULL";
        case Verdict::keep_standalone:
            return "KEEP:STANDALONE";
        case Verdict::tier:
            return "TIER:" + tier;
    }
    return "-";
}

Decision decide(const std::vector<Candidate>& backups, const Timelines& timelines, const Policy& policy, WallTime now) {
    return Judge(backups, timelines, policy, now).decide();
}

}  // namespace coffer::retention
