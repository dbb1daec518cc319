#include "lib/wal/xlogdb_tally.h"

#include <CppUTest/TestHarness.h>

#include <filesystem>
#include <fstream>

using namespace coffer;
using namespace coffer::wal;

namespace {

std::string name(int number, int timeline = 1) {
    char text[32];
    std::snprintf(text, sizeof text, "%08X%08X%08X", timeline, 0, number);
    return text;
}

std::string line(int number, int size, int timeline = 1) {
    return name(number, timeline) + "\t" + std::to_string(size) + "\t" + std::to_string(1000 + number) + ".25\tzstd\n";
}

}  // namespace

TEST_GROUP(XlogTally) {
    Path file;
    void setup() override {
        char directory[] = "/tmp/coffer-tally-XXXXXX";
        file = Path(::mkdtemp(directory)) / "xlog.db";
    }
    void teardown() override {
        std::filesystem::remove_all(file.parent_path());
    }
    void write(const std::string& text) {
        std::ofstream(file) << text;
    }
};

TEST(XlogTally, SumsWhatLiesBetweenNames) {
    write("00000002.history\t40\t1.0\tNone\n" + line(1, 10) + line(2, 20) + line(3, 30) + name(3) +
          ".00000028.backup\t1\t1.0\tNone\n" + line(5, 50) + line(4, 40, 2));
    const XlogTally tally(file, {name(2), name(4), name(3), "00000001G", name(9, 3)});
    LONGS_EQUAL(5, tally.all().files);
    LONGS_EQUAL(150, tally.all().bytes);
    STRCMP_EQUAL(name(4, 2).c_str(), tally.all().last.c_str());
    const XlogTally::Sum within = tally.within(name(2), name(3));
    LONGS_EQUAL(2, within.files);
    LONGS_EQUAL(50, within.bytes);
    STRCMP_EQUAL(name(2).c_str(), within.first.c_str());
    CHECK(within.first_modified == WallTime(std::chrono::milliseconds(1002250)));
    CHECK(within.last_modified == WallTime(std::chrono::milliseconds(1003250)));
    LONGS_EQUAL(50, tally.after(name(3), "00000001G").bytes);
    LONGS_EQUAL(30, tally.after(name(2), name(4)).bytes);
    CHECK(tally.has(name(2)));
    CHECK(!tally.has(name(4)));  // is not in the index
    CHECK(!tally.has(name(1)));  // was not named
}

TEST(XlogTally, DoesNotNeedTheOrderOfTheLines) {
    write(line(5, 50) + line(1, 10) + line(3, 30) + line(2, 20) + line(2, 20) + line(4, 40));
    const XlogTally tally(file, {name(2), name(4)});
    LONGS_EQUAL(90, tally.within(name(2), name(4)).bytes);
    LONGS_EQUAL(150, tally.all().bytes);
    STRCMP_EQUAL(name(5).c_str(), tally.all().last.c_str());
    STRCMP_EQUAL(name(1).c_str(), tally.all().first.c_str());
}

TEST(XlogTally, PassesOverWhatIsNoLine) {
    write("rubbish\n\n" + name(1) + "\n" + name(2) + "\tmany\t1.0\tNone\n" + line(3, 30) + std::string(9000, 'x') +
          "\n" + line(4, 40) + name(5) + "\t50\t1.0\tNone");
    LONGS_EQUAL(70, XlogTally(file, {}).all().bytes);
    std::filesystem::remove(file);
    LONGS_EQUAL(0, XlogTally(file, {name(1)}).all().files);
    CHECK(!XlogTally(file, {name(1)}).has(name(1)));
}

TEST(XlogTally, ReadsOnAcrossPieces) {
    std::string text;
    for (int number = 1; number <= 20000; ++number) text += line(number, 1);
    write(text);
    const XlogTally tally(file, {name(100), name(19000)});
    LONGS_EQUAL(20000, tally.all().files);
    LONGS_EQUAL(18900, tally.after(name(100), name(19000)).files);
}

// Large enough for several threads; the sums must not depend on where the file was cut.
TEST(XlogTally, AddsUpTheSameInSeveralThreads) {
    constexpr int most = 300'000;
    std::string text = "00000002.history\t40\t1.0\tNone\n";
    for (int number = 1; number <= most; ++number) {
        text += line(number, number);
        if (number % 1000 == 0) text += name(number) + ".00000028.backup\t9\t1.0\tNone\n";
        if (number % 50'000 == 0) text += line(7, 7) + line(number / 2, 1) + "rubbish\n";
    }
    CHECK(text.size() > (8U << 20));
    write(text);
    const XlogTally tally(file, {name(7), name(100'000), name(200'000), name(most), "00000001G"});
    const auto sum = [](std::uint64_t from, std::uint64_t to) { return (to - from + 1) * (from + to) / 2; };
    // Those told again are counted where they are not among the names, as a sum cannot know them.
    const auto all = tally.all();
    LONGS_EQUAL(most + 5, all.files);
    LONGLONGS_EQUAL(sum(1, most) + 5, all.bytes);
    STRCMP_EQUAL(name(1).c_str(), all.first.c_str());
    STRCMP_EQUAL(name(most).c_str(), all.last.c_str());
    CHECK(all.last_modified == WallTime(std::chrono::milliseconds((1000 + most) * 1000LL + 250)));
    const auto between = tally.after(name(100'000), name(200'000));
    LONGLONGS_EQUAL(sum(100'001, 200'000) + 2, between.bytes);
    STRCMP_EQUAL(name(100'001).c_str(), between.first.c_str());
    LONGLONGS_EQUAL(7, tally.within(name(7), name(7)).bytes);
    LONGLONGS_EQUAL(sum(200'001, most), tally.after(name(200'000), "00000001G").bytes);
}

TEST(XlogTally, NamesTheFirstAndTheLastOfWhateverIsAskedFor) {
    write(line(1, 1) + line(2, 2) + line(7, 3) + line(9, 4));
    const XlogTally tally(file, {name(3), name(5), name(7), name(8)});
    LONGS_EQUAL(0, tally.within(name(3), name(5)).files);
    STRCMP_EQUAL("", tally.within(name(3), name(5)).last.c_str());
    const XlogTally::Sum seven = tally.within(name(5), name(8));
    STRCMP_EQUAL(name(7).c_str(), seven.first.c_str());
    STRCMP_EQUAL(name(7).c_str(), seven.last.c_str());
    CHECK(seven.first_modified == WallTime(std::chrono::milliseconds(1007250)));
    LONGS_EQUAL(0, tally.after(name(7), name(8)).files);
    STRCMP_EQUAL(name(9).c_str(), tally.all().last.c_str());
    CHECK(tally.all().first_modified == WallTime(std::chrono::milliseconds(1001250)));
}
