#include "lib/wal/holdings.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr const char* seven = "000000010000000000000007";
constexpr const char* seven_partial = "000000010000000000000007.partial";

}  // namespace

TEST_GROUP(Holdings) {
    test::ServerFixture box;

    void expect_found(const char* name, bool allow_partial, Place place) {
        const auto held = find_now(box.server, name, allow_partial);
        CHECK(held.has_value());
        STRCMP_EQUAL(std::string(name_of(place)).c_str(), std::string(name_of(held->place)).c_str());
        CHECK(std::filesystem::exists(held->path));
    }
};

TEST(Holdings, PreferTheArchiveThenIncomingThenStreamingAndPartialsLast) {
    CHECK(!find_now(box.server, seven, true));
    const struct {
        Place place;
        bool partial;
    } worst_first[] = {{Place::incoming_partial, true},  {Place::archive_partial, true},
                       {Place::streaming_partial, true}, {Place::streaming, false},
                       {Place::incoming, false},         {Place::archive, false}};
    for (const auto& row : worst_first) {
        const char* name = row.partial ? seven_partial : seven;
        switch (row.place) {
            case Place::archive:
            case Place::archive_partial:
                box.archive(name, "x");
                break;
            case Place::incoming:
            case Place::incoming_partial:
                box.incoming(name, "x");
                break;
            case Place::streaming:
            case Place::streaming_partial:
                box.streaming(name, "x");
                break;
        }
        expect_found(seven, true, row.place);
        CHECK_EQUAL(!row.partial, find_now(box.server, seven, false).has_value());
        const Holdings holdings = Holdings::scan(box.server, SegmentSize());
        LONGS_EQUAL(1, holdings.segments().size());
        CHECK(holdings.segments().at({1, 7}).place == row.place);
        STRCMP_EQUAL(seven, holdings.segments().at({1, 7}).name.c_str());
    }
}

TEST(Holdings, FindHistoryFilesAndBackupLabels) {
    box.archive("00000002.history", "x");
    box.streaming("00000003.history", "x");
    box.archive("000000010000000000000007.00000028.backup", "x");
    expect_found("00000002.history", false, Place::archive);
    expect_found("00000003.history", false, Place::streaming);
    expect_found("000000010000000000000007.00000028.backup", false, Place::archive);
    const Holdings holdings = Holdings::scan(box.server, SegmentSize());
    LONGS_EQUAL(2, holdings.histories().size());
    CHECK(holdings.segments().empty());
}

TEST(Holdings, NeverFollowANameThatIsNoWalFiles) {
    for (const char* name : {"../main", "xlog.db", "", ".", "00000001000000000000000a", ".hidden"}) {
        CHECK_TEXT(!find_now(box.server, name, true), name);
    }
}

TEST(Holdings, TakeNoFileThatIsEmptyOrStillArriving) {
    test::WalBuilder wal;
    wal.fill_segment();
    const std::string whole = wal.segment(5);
    const char* name = "000000010000000000000005";
    box.archive(name, "");
    CHECK(!find_now(box.server, name, true));
    box.incoming(name, whole.substr(0, 500000));
    CHECK(!find_now(box.server, name, true));
    box.incoming(name, whole);
    expect_found(name, true, Place::incoming);
}

TEST(Holdings, KnowWhatIsMissing) {
    for (const char* name : {"000000010000000000000007", "000000010000000000000008", "00000001000000000000000A"}) {
        box.archive(name, "x");
    }
    box.archive("0000000100000000000001FF", "not possible with 16 MB");
    const Holdings holdings = Holdings::scan(box.server, SegmentSize());
    LONGS_EQUAL(3, holdings.segments().size());
    CHECK(holdings.first_missing({1, 7}, {1, 10}) == (Segment{1, 9}));
    CHECK(!holdings.first_missing({1, 7}, {1, 8}));
    CHECK(holdings.last_contiguous({1, 7}) == (Segment{1, 8}));
    CHECK(holdings.last_contiguous({1, 10}) == (Segment{1, 10}));
    CHECK(!holdings.last_contiguous({1, 9}));
}

TEST(Holdings, AreEmptyWhereNoDirectoryIs) {
    std::filesystem::remove_all(box.server.wals_directory);
    CHECK(Holdings::scan(box.server, SegmentSize()).segments().empty());
}

// The streamer finishes a segment, and the archiver takes it, between the look and the opening.
TEST(Holdings, ReadAFileWhereItHasMovedTo) {
    const auto text_of = [this](const HeldFile& held) {
        std::string text;
        read_held(box.server, held,
                  [&text](ByteSpan bytes) { text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
        return text;
    };
    box.streaming(seven_partial, "as it was");
    const auto held = find_now(box.server, seven, true);
    CHECK(held.has_value());
    STRCMP_EQUAL("as it was", text_of(*held).c_str());
    std::filesystem::remove(held->path);
    box.streaming(seven, "finished");
    STRCMP_EQUAL("finished", text_of(*held).c_str());
    std::filesystem::remove(box.server.streaming_wals_directory / seven);
    box.archive(seven, "archived");
    STRCMP_EQUAL("archived", text_of(*held).c_str());
    std::filesystem::remove(archive_path(box.server, seven));
    try {
        (void)text_of(*held);
        FAIL("it is nowhere");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::no_such_wal);
    }
}

TEST(Holdings, AFileIsNotReadTwiceWhenItsReaderFails) {
    box.streaming(seven, "x");
    const auto held = find_now(box.server, seven, false);
    int calls = 0;
    CHECK_THROWS(Error, read_held(box.server, *held, [&](ByteSpan) {
                     ++calls;
                     std::filesystem::remove(held->path);
                     throw Error(ErrorCode::io, "the reader's own");
                 }));
    LONGS_EQUAL(1, calls);
}
