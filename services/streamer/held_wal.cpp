#include "streamer/held_wal.h"

#include "lib/base/error.h"
#include "streamer/segment_file.h"

namespace coffer::streamer {
namespace {

using wal::Segment;

struct Newest {
    std::optional<Segment> partial;
    std::optional<Segment> streamed;
    std::optional<Segment> archived;
    [[nodiscard]] bool any() const { return partial || streamed || archived; }
};
// Before and behind the newest hole that is known.
struct Sides {
    Newest before;
    Newest behind;
};
using NewestByTimeline = std::map<TimelineId, Sides>;

Newest& side_of(const HeldWalQuestion& question, const Segment& segment, NewestByTimeline& newest) {
    const auto hole = question.holes_end.find(segment.timeline);
    const bool before = hole != question.holes_end.end() && segment.begin(question.size) < hole->second;
    Sides& sides = newest[segment.timeline];
    return before ? sides.before : sides.behind;
}

void keep_newer(std::optional<Segment>& slot, const Segment& found) {
    if (!slot || slot->number < found.number) slot = found;
}

void look_into_streaming(const HeldWalQuestion& question, NewestByTimeline& newest) {
    for (const auto& entry : std::filesystem::directory_iterator(question.streaming)) {
        std::string name = entry.path().filename().string();
        const bool partial = name.ends_with(".partial");
        if (partial) name.resize(name.size() - 8);
        const auto segment = Segment::parse(name, question.size);
        if (!segment) continue;
        Newest& side = side_of(question, *segment, newest);
        keep_newer(partial ? side.partial : side.streamed, *segment);
    }
}

// The archive has thousands of files per timeline, but names sort: only the last folder of each timeline is read.
void look_into_archive(const HeldWalQuestion& question, NewestByTimeline& newest) {
    std::error_code absent;
    std::map<std::string, Path> last_folder;  // by timeline's 8 digits
    for (const auto& entry : std::filesystem::directory_iterator(question.archive, absent)) {
        const std::string name = entry.path().filename().string();
        if (name.size() != 16 || !entry.is_directory()) continue;
        Path& last = last_folder[name.substr(0, 8)];
        if (last.empty() || last.filename() < name) last = entry.path();
    }
    for (const auto& [timeline, folder] : last_folder) {
        for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
            const auto segment = Segment::parse(entry.path().filename().string(), question.size);
            if (segment) keep_newer(side_of(question, *segment, newest).archived, *segment);
        }
    }
}

std::optional<Path> whole_file(const HeldWalQuestion& question, const Segment& segment) {
    const std::string name = segment.name(question.size);
    std::error_code ignored;
    for (const Path& path : {question.streaming / name, question.archive / wal::archive_folder_of(name) / name}) {
        if (std::filesystem::is_regular_file(path, ignored)) return path;
    }
    return std::nullopt;
}

DurableLsn end_of_partial(const HeldWalQuestion& question, const Segment& segment) {
    const Path path = SegmentFile::partial_path(question.streaming, segment, question.size);
    try {
        return SegmentFile::sync_found(path, [&](int) { return question.valid_end(path, segment); });
    } catch (const Error&) {
        if (question.not_synced) question.not_synced(segment);
        throw;
    }
}

// The end of the whole segments that follow one another from first on; nullopt when first itself is not there.
std::optional<DurableLsn> end_of_row(const HeldWalQuestion& question, const Segment& first) {
    std::optional<Segment> last;
    std::optional<Path> last_path;
    for (Segment segment = first;; segment = segment.next()) {
        auto path = whole_file(question, segment);
        if (!path) break;
        last = segment;
        last_path = std::move(path);
    }
    if (!last) return std::nullopt;
    return SegmentFile::sync_found(*last_path, last->end(question.size));
}

}  // namespace

std::map<TimelineId, DurableLsn> find_held_wal(const HeldWalQuestion& question) {
    NewestByTimeline newest;
    look_into_streaming(question, newest);  // first: what is archived meanwhile is seen twice rather than never
    look_into_archive(question, newest);
    std::map<TimelineId, DurableLsn> held;
    for (const auto& [timeline, sides] : newest) {
        const Newest& found = sides.behind.any() ? sides.behind : sides.before;
        std::optional<Segment> first = found.partial ? found.partial : found.streamed;
        if (found.streamed && first->number < found.streamed->number) first = found.streamed;
        if (!first) first = found.archived;
        if (const auto end = end_of_row(question, *first)) {
            held[timeline] = *end;
        } else if (found.partial && *first == *found.partial) {
            const DurableLsn end_here = end_of_partial(question, *first);
            held[timeline] = end_here;
            if (end_here.lsn() != first->end(question.size)) continue;
            SegmentFile::complete_found(question.streaming, *first, question.size);
            if (question.completed) question.completed(*first);
            // Behind it there may be more: whole ones that came another way.
            held[timeline] = end_of_row(question, *first).value_or(end_here);
        }
    }
    return held;
}

std::optional<HeldRun> next_run(const HeldWalQuestion& question, TimelineId timeline, Lsn from) {
    std::optional<Segment> first;
    std::error_code absent;
    const std::string first_folder =
        wal::archive_folder_of(Segment::containing(timeline, from, question.size).name(question.size));
    for (const auto& folder : std::filesystem::directory_iterator(question.archive, absent)) {
        const std::string name = folder.path().filename().string();
        if (name.size() != 16 || name.substr(0, 8) != first_folder.substr(0, 8) || name < first_folder) continue;
        for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
            const auto segment = Segment::parse(entry.path().filename().string(), question.size);
            if (!segment || segment->timeline != timeline || segment->begin(question.size) < from) continue;
            if (!first || *segment < *first) first = segment;
        }
    }
    if (!first) return std::nullopt;
    const auto end = end_of_row(question, *first);
    if (!end) return std::nullopt;
    return HeldRun{first->begin(question.size), *end};
}

}  // namespace coffer::streamer
