#include "lib/rsync/listing.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::rsync;

TEST_GROUP(RsyncListing){};

TEST(RsyncListing, TellsFilesAndDirectoriesApart) {
    const auto file = parse_listing_line("-rw-------     3000000 2026/12/01 04:18:02 base/5/16384");
    CHECK(file && !file->directory);
    LONGS_EQUAL(0600, file->mode);
    LONGS_EQUAL(3000000, file->size);
    LONGS_EQUAL(1796098682, file->mtime);
    STRCMP_EQUAL("base/5/16384", file->path.c_str());
    const auto directory = parse_listing_line("drwxr-x---        4096 1969/12/31 23:59:59 a b");
    CHECK(directory && directory->directory);
    LONGS_EQUAL(0750, directory->mode);
    LONGS_EQUAL(-1, directory->mtime);
    STRCMP_EQUAL("a b", directory->path.c_str());
    LONGS_EQUAL(1000000000000LL, parse_listing_line("-rw------- 1000000000000 2026/12/01 04:18:02 x")->size);
}

TEST(RsyncListing, PassesOverWhatIsNeither) {
    CHECK_FALSE(parse_listing_line("lrwxrwxrwx           9 2026/12/01 04:18:02 dang -> /nonexist").has_value());
    CHECK_FALSE(parse_listing_line("srwxrwxrwx           0 2026/12/01 04:18:02 .s.PGSQL.5432").has_value());
}

TEST(RsyncListing, RefusesWhatIsNoSuchLine) {
    for (const char* line :
         {"", "Welcome to this host", "-rw-------", "-rw------- 12", "-rw------- 12 2026/12/01 04:18:02",
          "-rw------- 12 2026/12/01 04:18:02 ", "-rw------- 1,2 2026/12/01 04:18:02 a",
          "-rw------- 12 2026/13/01 04:18:02 a", "-rw------- 12 2026-12-01 04:18:02 a",
          "-rq------- 12 2026/12/01 04:18:02 a", "-rw------- 99999999999999999999999 2026/12/01 04:18:02 a",
          "-rw------- 12 2026/12/01 0:18:02 a"}) {
        CHECK_THROWS(Error, (void)parse_listing_line(line));
    }
}

TEST(RsyncListing, NamesAreAsTheyAre) {
    STRCMP_EQUAL("we ird\nna\"me", plain_name("we ird\\#012na\"me").c_str());
    STRCMP_EQUAL("a\\#012b", plain_name("a\\#134#012b").c_str());
    STRCMP_EQUAL("\xC3\xA4", plain_name("\\#303\\#244").c_str());
    STRCMP_EQUAL("\\#9", plain_name("\\#9").c_str());
    STRCMP_EQUAL("\\#01", plain_name("\\#01").c_str());
}

TEST(RsyncListing, TellsWhatWasTransferred) {
    const auto written = parse_transfer_line(">f.st...... 407 base/5/1 6384");
    CHECK(written && written->written);
    LONGS_EQUAL(407, written->bytes);
    STRCMP_EQUAL("base/5/1 6384", written->path.c_str());
    const auto same = parse_transfer_line(".f          0 a\\#012b");
    CHECK(same && !same->written);
    STRCMP_EQUAL("a\nb", same->path.c_str());
    for (const char* line : {"", "cd+++++++++ 0 base/", ".d          0 base/", "Number of files: 5 (reg: 3, dir: 2)"}) {
        CHECK_FALSE(parse_transfer_line(line).has_value());
    }
    CHECK_THROWS(Error, (void)parse_transfer_line(">f+++++++++ x12 name"));
}
