#pragma once
// Which WAL this box holds of one server, wherever it lies: archive, incoming, streaming, and the unfinished segment.
//
// Reads directories only (not xlog.db), so it is right even when an index is not. A snapshot: files may move from
// streaming/ to wals/ after the scan; find_now() looks again in Barman's order and is what serving WAL uses.
// Immutable after construction, hence shareable between threads.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/config.h"
#include "lib/wal/segment_name.h"

namespace coffer::wal {

enum class Place { archive, incoming, streaming, streaming_partial, archive_partial, incoming_partial };
std::string_view name_of(Place place) noexcept;
bool is_partial(Place place) noexcept;

struct HeldFile {
    std::string name;  // without ".partial"
    Place place = Place::archive;
    Path path;
    std::uint64_t stored_size = 0;
};

// Where the archive keeps (or would keep) a WAL file.
Path archive_path(const config::Server& server, std::string_view name);

// Looks for one WAL file (segment, history, backup label) in the order archive, incoming, streaming, and with
// allow_partial also streaming partial, archive partial, incoming partial, then the archive again (it may have been
// moved meanwhile). A complete file always wins over a partial one. A name that is no WAL file's is found nowhere.
// Files without content, and segments in incoming that are still shorter than they say themselves, count as absent.
std::optional<HeldFile> find_now(const config::Server& server, std::string_view name, bool allow_partial);

// Passes on the plain bytes of a file that was found a while ago: where it has moved since (an unfinished segment was
// finished, a segment archived), from where it lies now. Throws no_such_wal when it has gone, corrupt, io.
void read_held(const config::Server& server, const HeldFile& held, const std::function<void(ByteSpan)>& sink);

class Holdings {
  public:
    // Throws io. segment_size decides what is a segment's name.
    static Holdings scan(const config::Server& server, SegmentSize segment_size);

    [[nodiscard]] const std::map<Segment, HeldFile>& segments() const noexcept {
        return segments_;
    }  // best copy of each
    [[nodiscard]] const std::map<TimelineId, HeldFile>& histories() const noexcept { return histories_; }
    [[nodiscard]] SegmentSize segment_size() const noexcept { return size_; }
    [[nodiscard]] bool has(const Segment& segment) const { return segments_.count(segment) != 0; }
    // First absent segment in [first, last] of first.timeline.
    [[nodiscard]] std::optional<Segment> first_missing(Segment first, Segment last) const;
    // Last segment reachable from first without a hole on its timeline (first itself must be there, else nullopt).
    [[nodiscard]] std::optional<Segment> last_contiguous(Segment first) const;

  private:
    SegmentSize size_;
    std::map<Segment, HeldFile> segments_;
    std::map<TimelineId, HeldFile> histories_;
};

}  // namespace coffer::wal
