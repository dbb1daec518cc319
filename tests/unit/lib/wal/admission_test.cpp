#include "lib/wal/admission.h"

#include <CppUTest/TestHarness.h>

#include <cstring>

#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

// A segment of timeline 1 that was switched early, and pages of another timeline behind that, which the file held
// before: a server that crashed between the switch and clearing the rest leaves them.
std::string switched_over_pages_of(TimelineId old) {
    test::WalBuilder builder;
    builder.filler(1000);
    builder.switch_segment();
    std::string bytes = builder.segment(5);
    test::WalBuilder earlier;
    earlier.set_timeline(old);
    earlier.fill_segment();
    const std::size_t switched = 8192;
    bytes.replace(switched, std::string::npos, earlier.segment(5), switched);
    return bytes;
}

std::string reason(const Segment& segment, const std::string& bytes) {
    const std::string name = segment.name(SegmentSize::from_bytes(1 << 20).value());
    return refusal_of(name, as_byte_span(bytes), {}).value_or("");
}

}  // namespace

TEST_GROUP(Admission){};

TEST(Admission, JudgesTheTimelineByWhatLiesBeforeTheSwitch) {
    STRCMP_EQUAL("", reason({1, 5}, switched_over_pages_of(7)).c_str());
    STRCMP_EQUAL("is WAL of timeline 1", reason({7, 5}, switched_over_pages_of(7)).c_str());
    STRCMP_EQUAL("", reason({1, 5}, switched_over_pages_of(1)).c_str());
}

TEST(Admission, TakesASegmentWhoseTimelineChangedWithin) {
    test::WalBuilder builder;
    builder.filler(100000);
    builder.set_timeline(2);
    builder.fill_segment();
    STRCMP_EQUAL("", reason({2, 5}, builder.segment(5)).c_str());
    STRCMP_EQUAL("is bad at 0/51A000: page header: timeline 2 instead of 1",
                 reason({1, 5}, builder.segment(5)).c_str());
}
