#include "lib/image/page_checksum.h"

#include <CppUTest/TestHarness.h>

#include <cstring>
#include <string>

using namespace coffer;
using namespace coffer::image;

namespace {

using Bytes = std::array<std::byte, page_size>;

Bytes pattern() {
    Bytes page;
    for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(i * 7 + i / 256 + 3);
    return page;
}

void put(Bytes& page, std::size_t at, std::uint32_t value, std::size_t size) {
    std::memcpy(page.data() + at, &value, size);
}

// A page with a right checksum.
Bytes page_of(std::uint32_t block, std::uint32_t lsn) {
    Bytes page = pattern();
    put(page, 0, 0, 4);
    put(page, 4, lsn, 4);
    put(page, 8, page_checksum(Page(page), block), 2);
    return page;
}

}  // namespace

TEST_GROUP(PageChecksum){};

TEST(PageChecksum, IsThatOfPostgres) {
    // Expected values: pageinspect's page_checksum() of PostgreSQL 15.
    const Bytes page = pattern();
    LONGS_EQUAL(34744, page_checksum(Page(page), 0));
    LONGS_EQUAL(34741, page_checksum(Page(page), 131073));
}

TEST(PageChecksum, DoesNotCoverItself) {
    Bytes page = pattern();
    const auto before = page_checksum(Page(page), 3);
    put(page, 8, 0xABCD, 2);
    LONGS_EQUAL(before, page_checksum(Page(page), 3));
}

TEST(PageChecksum, KnowsWhichFilesConsistOfPages) {
    const std::pair<const char*, std::uint32_t> pages[] = {{"base/5/16384", 0},
                                                           {"base/5/16384.2", 262144},
                                                           {"base/5/16384_fsm", 0},
                                                           {"base/5/16384_vm.1", 131072},
                                                           {"base/5/16384_init", 0},
                                                           {"global/1260", 0},
                                                           {"pg_tblspc/16385/PG_15_202209061/5/16386.1", 131072}};
    for (const auto& [path, block] : pages) {
        CHECK(first_block_of(path).has_value());
        LONGS_EQUAL(block, *first_block_of(path));
    }
    for (const char* const path :
         {"global/pg_control", "base/5/pg_filenode.map", "base/5/PG_VERSION", "base/5/pg_internal.init", "PG_VERSION",
          "base/5/", "base/5/16384.", "base/5/16384.x", "base/5/16384_xyz", "base/5/t3_16384", "base/5/16384.99999999",
          "pg_xact/0000", "pg_tblspc/16385/16386", "base/pgsql_tmp/pgsql_tmp1.0", "pg_wal/000000010000000000000001",
          "base/x/1"}) {
        CHECK(!first_block_of(path).has_value());
    }
}

TEST(PageChecksum, ChecksPagesInAnyPieces) {
    std::string file;
    for (std::uint32_t block = 0; block < 4; ++block) {
        const Bytes page = page_of(block, 10);
        file.append(reinterpret_cast<const char*>(page.data()), page.size());
    }
    file[page_size * 2 + 5000] = static_cast<char>(file[page_size * 2 + 5000] ^ 1);
    file += "a page that was being added";
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{511}, std::size_t{8192}, std::size_t{32768}, file.size()}) {
        PageChecker checker(0, Lsn{100});
        for (std::size_t at = 0; at < file.size(); at += piece)
            checker.add(as_byte_span(std::string_view(file).substr(at, piece)));
        LONGS_EQUAL(4, checker.checked());
        LONGS_EQUAL(1, checker.suspects().size());
        LONGS_EQUAL(2, checker.suspects()[0].block);
    }
}

TEST(PageChecksum, LetsNewPagesBeTornAndEmptyOnesBeEmpty) {
    PageChecker checker(7, Lsn{100});
    Bytes torn = page_of(7, 100);
    torn[4000] ^= std::byte{1};
    checker.add(torn);
    checker.add(Bytes{});
    LONGS_EQUAL(0, checker.suspects().size());
    LONGS_EQUAL(1, checker.newer().size());
    LONGS_EQUAL(7, checker.newer()[0].block);
    LONGS_EQUAL(2, checker.checked());
}

TEST(PageChecksum, DoesNotTakeAPageForNewThatIsNotEmpty) {
    PageChecker checker(7, Lsn{100});
    Bytes damaged{};
    damaged[8000] = std::byte{1};
    checker.add(damaged);
    LONGS_EQUAL(1, checker.suspects().size());
    CHECK(page_is_new(Page(damaged)));
    CHECK(!page_is_sound(Page(damaged), 7));
    CHECK(page_is_sound(Page(Bytes{}), 7));
}
