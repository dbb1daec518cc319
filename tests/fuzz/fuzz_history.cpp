// Timeline history files of unknown origin. What is accepted must read back the same from what is written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/base/error.h"
#include "lib/wal/timeline_history.h"

using namespace coffer::wal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const TimelineHistory history = TimelineHistory::parse(text, 9, "00000009.history");
        const TimelinePath path(history);
        for (std::uint64_t number = 0; number < 10; ++number) (void)path.candidates(number, SegmentSize());
        const TimelineHistory again = TimelineHistory::parse(history.format(), 9, "again");
        if (again.ancestors.size() != history.ancestors.size()) std::abort();
    } catch (const coffer::Error&) {
    }
    return 0;
}
