#include "lib/wal/stale_partial.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(StalePartial) {
    test::ServerFixture fixture;
    std::string whole;
    std::string begun;  // as much room, filled only in part
    const std::string name = "000000010000000000000005";
    Path partial;

    void setup() override {
        test::WalBuilder builder;
        builder.filler(300000);
        begun = builder.segment(5);
        builder.fill_segment();
        whole = builder.segment(5);
        partial = fixture.server.streaming_wals_directory / (name + ".partial");
        fixture.streaming(name + ".partial", begun);
    }
    bool removed() {
        const auto names = remove_stale_partials(fixture.server);
        CHECK(names.empty() == std::filesystem::exists(partial));
        return !names.empty();
    }
};

TEST(StalePartial, GoesWhenTheArchiveHasAllOfIt) {
    fixture.archive(name, whole);
    CHECK(removed());
    LONGS_EQUAL(0, remove_stale_partials(fixture.server).size());
}

TEST(StalePartial, StaysWhileTheArchiveHasNotTheWhole) {
    CHECK(!removed());
    fixture.archive(name + ".partial", whole);
    CHECK(!removed());
    fixture.archive(name, begun);
    CHECK(!removed());
    std::string rotten = whole;
    rotten[900000] = static_cast<char>(rotten[900000] ^ 1);
    fixture.archive(name, rotten);
    CHECK(!removed());
}

TEST(StalePartial, StaysWhenItHoldsOtherBytes) {
    fixture.archive(name, whole);
    for (const std::size_t at : {std::size_t{200000}, std::size_t{1000000}}) {
        std::string other = begun;
        other[at] = static_cast<char>(other[at] ^ 1);
        if (other[at] == whole[at]) other[at] = static_cast<char>(other[at] ^ 2);
        fixture.streaming(name + ".partial", other);
        CHECK(!removed());
    }
    fixture.streaming(name + ".partial", begun.substr(0, 300000));
    CHECK(!removed());
}

TEST(StalePartial, StaysWhileSomebodyMayWriteToIt) {
    fixture.archive(name, whole);
    fixture.server.streaming_archiver = true;
    CHECK(!removed());
    fixture.server.streaming_archiver = false;
    {
        const UniqueFd writer = files().open(partial, O_RDWR);
        CHECK(!removed());
    }
    CHECK(removed());
}
