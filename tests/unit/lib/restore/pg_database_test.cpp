#include "lib/restore/pg_database.h"

#include <CppUTest/TestHarness.h>

#include <array>
#include <cstring>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

namespace {

void store(std::byte* at, std::uint32_t value) {
    std::memcpy(at, &value, sizeof value);
}

// As PostgreSQL 16 and later write it, or 15 and before.
std::vector<std::byte> map_of(std::uint32_t relation, std::uint32_t file, std::size_t size = 524) {
    std::vector<std::byte> map(size);
    store(map.data(), 0x592717);
    store(map.data() + 4, 2);
    store(map.data() + 8, 1260);
    store(map.data() + 12, 1260);
    store(map.data() + 16, relation);
    store(map.data() + 20, file);
    const std::size_t at = size == 524 ? 520 : 504;
    store(map.data() + at, crc32c(ByteSpan(map).first(at)));
    return map;
}

class PageBuilder {
  public:
    PageBuilder() {
        put16(12, 24);
        put16(14, 8192);
        put16(16, 8192);
        put16(18, 8192 | 4);
    }
    struct Row {
        std::uint32_t oid;
        const char* name;
        std::uint16_t mask;
        std::uint32_t xmin = 700, xmax = 0;
    };
    PageBuilder& add(const Row& row, std::uint32_t flags = 1) {
        constexpr std::size_t length = 256;
        lower_ += 4;
        upper_ -= length;
        put16(12, lower_);
        put16(14, upper_);
        store(page.data() + lower_ - 4, static_cast<std::uint32_t>(upper_ | flags << 15 | length << 17));
        std::byte* const tuple = page.data() + upper_;
        store(tuple, row.xmin);
        store(tuple + 4, row.xmax);
        std::memcpy(tuple + 20, &row.mask, 2);
        tuple[22] = std::byte{24};
        store(tuple + 24, row.oid);
        std::strncpy(reinterpret_cast<char*>(tuple + 28), row.name, 64);
        tuple[24 + 77] = std::byte{1};
        return *this;
    }
    void put16(std::size_t at, std::size_t value) {
        const auto number = static_cast<std::uint16_t>(value);
        std::memcpy(page.data() + at, &number, 2);
    }
    std::array<std::byte, image::page_size> page{};

  private:
    std::size_t lower_ = 24;
    std::size_t upper_ = 8192;
};

std::string names(const PageBuilder& builder) {
    std::string text;
    const auto fate = [](std::uint32_t xid) {
        return xid == 900 ? Fate::committed : xid == 901 ? Fate::aborted : Fate::unknown;
    };
    for (const Database& database : databases_on_page(builder.page, 17, fate, "/x")) text += database.name + " ";
    return text;
}

template <typename Work>
void check_corrupt(const Work& work) {
    try {
        work();
        FAIL("must be corrupt");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::corrupt);
    }
}

}  // namespace

TEST_GROUP(PgDatabase){};

TEST(PgDatabase, FindsTheFileInTheMapOfEitherSize) {
    for (const std::size_t size : {512, 524}) {
        CHECK(mapped_file(map_of(1262, 16500, size), 1262, "/x") == 16500U);
        CHECK(!mapped_file(map_of(1262, 16500, size), 1261, "/x"));
    }
}

TEST(PgDatabase, RefusesADamagedMap) {
    for (const std::size_t byte : {0, 5, 17, 521}) {
        auto map = map_of(1262, 16500);
        map[byte] ^= std::byte{1};
        check_corrupt([&] { (void)mapped_file(map, 1262, "/x"); });
    }
    check_corrupt([&] { (void)mapped_file(ByteSpan(map_of(1262, 5)).first(300), 1262, "/x"); });
}

TEST(PgDatabase, ReadsRowsThatAreThere) {
    PageBuilder page;
    page.add({5, "frozen", 0x0B00}).add({6, "committed", 0x0900}).add({7, "begun", 0x0800, 905});
    page.add({8, "judged", 0x0800, 900})
        .add({9, "locked", 0x0180, 700, 900})
        .add({10, "not-deleted", 0x0100, 700, 901});
    page.add({11, "being-deleted", 0x0100, 700, 905});
    STRCMP_EQUAL("frozen committed begun judged locked not-deleted being-deleted ", names(page).c_str());
}

TEST(PgDatabase, LeavesOutRowsThatAreNot) {
    PageBuilder page;
    page.add({5, "aborted", 0x0A00}).add({6, "judged-aborted", 0x0800, 901}).add({7, "deleted", 0x0500, 700, 800});
    page.add({8, "judged-deleted", 0x0100, 700, 900}).add({9, "dead", 0x0900}, 3).add({10, "moved", 0x0900}, 2);
    STRCMP_EQUAL("", names(page).c_str());
    STRCMP_EQUAL("", names(PageBuilder()).c_str());
}

TEST(PgDatabase, RefusesPagesThatMakeNoSense) {
    const struct {
        std::size_t at;
        std::size_t value;
    } cases[] = {{12, 9000}, {12, 25}, {14, 9000}, {16, 9000}, {18, 4096 | 4}, {24, 0xFFFF}, {26, 0xFFFE}};
    for (const auto& c : cases) {
        PageBuilder page;
        page.add({5, "one", 0x0B00});
        page.put16(c.at, c.value);
        check_corrupt([&] { names(page); });
    }
    PageBuilder nameless;
    nameless.add({5, "", 0x0B00});
    check_corrupt([&] { names(nameless); });
}
