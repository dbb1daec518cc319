#include "lib/wal/hole.h"

#include <filesystem>

#include "lib/base/error.h"
#include "lib/wal/holdings.h"
#include "lib/wal/partial.h"
#include "lib/wal/segment_name.h"
#include "lib/wal/serve.h"

namespace coffer::wal {
namespace {

// All of it is here: only its last rename was cut off, which the streamer does at its start.
bool lacks_its_name_only(const HeldFile& held) {
    std::error_code error;
    if (held.place != Place::streaming_partial) return false;
    const auto size = SegmentSize::from_bytes(std::filesystem::file_size(held.path, error));
    if (error || !size) return false;
    const auto segment = Segment::parse(held.name, *size);
    return segment && check_streamed_file(held.path, *segment, true, {*size, {}, 0, {}}).complete;
}

}  // namespace

void refuse_hole(const config::Server& server, const std::string& name, bool allow_partial) {
    if (kind_of(name) != FileKind::segment) return;
    const auto is_whole = [&] {
        const auto held = find_now(server, name, allow_partial);
        return held && !is_partial(held->place);
    };
    if (is_whole()) return;
    const auto behind = held_behind(server, name, allow_partial);
    if (!behind || is_whole()) return;  // it may have come in between
    const auto unfinished = find_now(server, name, allow_partial);
    if (unfinished && lacks_its_name_only(*unfinished)) return;
    throw Error(ErrorCode::wal_gap,
                "this WAL segment is missing, or partly held, although later ones are held (the next: " + *behind + ")",
                name, "look for it on the server (pg_wal) or in errors/ and put it into incoming/");
}

}  // namespace coffer::wal
