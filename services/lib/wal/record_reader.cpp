#include "lib/wal/record_reader.h"

#include "lib/wal/pages.h"

namespace coffer::wal {
namespace {

std::optional<ChosenSegment> choose(const Holdings& holdings, const TimelinePath& path, std::uint64_t number) {
    const SegmentSize size = holdings.segment_size();
    for (const TimelineId timeline : path.candidates(number, size)) {
        const Segment segment{timeline, number};
        const auto held = holdings.segments().find(segment);
        if (held == holdings.segments().end()) continue;
        ChosenSegment chosen{segment, path.switch_from(timeline), held->second.place >= Place::streaming_partial};
        if (chosen.limit && *chosen.limit >= segment.end(size)) chosen.limit.reset();
        return chosen;
    }
    return std::nullopt;
}

ReadEnd::Reason reason_of(PageWalker::Stop stop, bool limited, bool partial) {
    if (limited) return ReadEnd::Reason::limit;
    if (stop == PageWalker::Stop::handler) return ReadEnd::Reason::handler;
    return partial ? ReadEnd::Reason::end_of_log : ReadEnd::Reason::damage;
}

}  // namespace

LogSource source_of(const config::Server& server, const Holdings& holdings, const TimelinePath& path) {
    LogSource source;
    source.size = holdings.segment_size();
    source.choose = [&](std::uint64_t number) { return choose(holdings, path, number); };
    source.load = [&](const Segment& segment, const std::function<void(ByteSpan)>& sink) {
        read_held(server, holdings.segments().at(segment), sink);
    };
    return source;
}

ReadEnd read_records(const LogSource& source, Lsn from, const RecordKinds& keep, const RecordHandler& handler) {
    std::optional<Lsn> limit;
    bool limited = false;
    const auto filter = [&](const RecordView& record) {
        if (record.start < from) return true;
        limited = limit && record.start >= *limit;
        return !limited && handler(record);
    };
    PageWalker walker(filter, keep);
    for (std::uint64_t number = from.value / source.size.bytes();; ++number) {
        const auto chosen = source.choose(number);
        if (!chosen) return {ReadEnd::Reason::missing, walker.valid_end(), std::nullopt, number};
        limit = chosen->limit;
        walker.end_padding();
        const Expected expected{chosen->segment, source.size, source.system_identifier, source.major_version};
        const Lsn begin = chosen->segment.begin(source.size);
        std::uint64_t taken = 0;
        Pages pages([&](ByteSpan page) {
            if (taken < source.size.bytes()) walker.page(page, expected, begin + taken);
            taken += page.size();
        });
        source.load(chosen->segment, [&pages](ByteSpan bytes) { pages.add(bytes); });
        pages.flush();
        const Lsn end = limited ? *limit : walker.valid_end();
        if (walker.stop() != PageWalker::Stop::none) {
            return {reason_of(walker.stop(), limited, chosen->partial || limit), end, walker.stopped_at(), number};
        }
        if (taken != source.size.bytes()) {
            const Damage cut{begin + taken, "the segment ends early"};
            return {reason_of(PageWalker::Stop::short_data, false, chosen->partial), end, cut, number};
        }
    }
}

}  // namespace coffer::wal
