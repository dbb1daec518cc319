#include "lib/wal/gaps.h"

#include <CppUTest/TestHarness.h>

#include "tests/unit/lib/wal/server_fixture.h"

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(WalGaps) {
    test::ServerFixture fixture;
    WallTime now{std::chrono::seconds(1700000000)};
    void setup() override {
        std::filesystem::create_directories(fixture.server.meta_directory());
    }
    Path file() const {
        return fixture.server.meta_directory() / "coffer-wal-gaps";
    }
};

TEST(WalGaps, AreReadAsTheyWereNotedEachOnce) {
    CHECK(read_gaps(fixture.server).empty());
    const WalGap first{1, Lsn{0x3000000}, Lsn{0x5000000}}, second{2, Lsn{0x7000000}, Lsn{0x100000000}};
    for (const WalGap& gap : {first, second, first}) note_gap(fixture.server, gap, now);
    CHECK(read_gaps(fixture.server) == std::vector<WalGap>({first, second}));
    STRCMP_EQUAL(
        "1700000000 timeline 1 from 0/3000000 to 0/5000000\n"
        "1700000000 timeline 2 from 0/7000000 to 1/0\n",
        read_file(file())->c_str());
}

TEST(WalGaps, OneFromTheSamePositionReplacesTheOther) {
    write_file_durably(file(), "not a gap\n");
    const WalGap shorter{1, Lsn{3}, Lsn{5}}, longer{1, Lsn{3}, Lsn{7}}, other{2, Lsn{3}, Lsn{5}};
    for (const WalGap& gap : {shorter, other, longer}) note_gap(fixture.server, gap, now);
    CHECK(read_gaps(fixture.server) == std::vector<WalGap>({other, longer}));
    STRNCMP_EQUAL("not a gap\n", read_file(file())->c_str(), 10);
}

TEST(WalGaps, LinesThatAreNoneAreLeftOut) {
    write_file_durably(file(),
                       "\nnonsense\n1 timeline x from 0/1 to 0/2\n1 timeline 1 from 0/1 to\n"
                       "1 timeline 3 from 0/1 to 0/2\n1 timeline 1 from 0/1");
    CHECK(read_gaps(fixture.server) == std::vector<WalGap>({{3, Lsn{1}, Lsn{2}}}));
}
