#include "lib/restore/left_pages.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::restore;

namespace {

constexpr std::uint8_t will_init = 0x40, has_image = 0x10, apply_15 = 0x02;

struct Block {
    std::uint32_t database = 16384;
    std::uint32_t block = 7;
    std::uint8_t flags = 0;  // and the fork
    std::uint8_t image = 0;  // with has_image
};

template <typename Number>
void number(std::string& text, Number value) {
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string payload_of(const std::vector<Block>& blocks, const std::string& main_data = "x") {
    std::string headers, data;
    std::uint8_t id = 0;
    for (const Block& block : blocks) {
        number(headers, id++);
        number(headers, block.flags);
        number(headers, std::uint16_t{2});
        if ((block.flags & has_image) != 0) {
            number(headers, std::uint16_t{10});
            number(headers, std::uint16_t{0});
            number(headers, block.image);
            data += std::string(10, '\xff');
        }
        number(headers, std::uint32_t{1663});
        number(headers, block.database);
        number(headers, std::uint32_t{16500});
        number(headers, block.block);
        data += "\xff\xff";  // would be a header of main data at this place
    }
    if (!main_data.empty()) {
        number(headers, std::uint8_t{255});
        number(headers, static_cast<std::uint8_t>(main_data.size()));
    }
    return headers + data + main_data;
}

}  // namespace

TEST_GROUP(LeftPages) {
    LeftPages pages{{{{16384, "shop", false}, 0}}};
    ErrorCode take(const std::string& payload, std::uint8_t rmid = 10, std::uint8_t info = 0) {
        wal::RecordView record;
        record.rmid = rmid;
        record.info = info;
        record.major_version = 17;
        record.payload = as_byte_span(payload);
        try {
            pages.take(record);
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;  // none
    }
    void check_passes(const std::string& payload) {
        CHECK(take(payload) == ErrorCode::internal);
    }
    void check_refused(const std::string& payload) {
        CHECK(take(payload) == ErrorCode::refused);
    }
};

TEST(LeftPages, PassesPagesThatWalHasWhole) {
    check_passes(payload_of({{16384, 7, has_image, apply_15}, {16384, 70000, will_init}}));
    check_passes(payload_of({{16384, 7}, {16384, 70000}}, ""));
    check_refused(payload_of({{16384, 8}}));
}

TEST(LeftPages, PassesOtherDatabasesAndMaps) {
    check_passes(payload_of({{16385, 7}, {0, 7}, {16384, 7, 1}, {16384, 7, 2}}));
    check_refused(payload_of({{16384, 7, 3}}));
}

TEST(LeftPages, RefusesAnImageThatReplayOnlyCompares) {
    check_refused(payload_of({{16384, 7, has_image, 0}}));
}

TEST(LeftPages, RefusesTheCopyOfFilesThatAreHoles) {
    std::string data;
    for (const std::uint32_t oid : {20000, 1663, 16384, 1663}) number(data, oid);
    CHECK(take(payload_of({}, data), wal::rm_database) == ErrorCode::refused);
    CHECK(take(payload_of({}, data), wal::rm_database, 0x10) == ErrorCode::internal);
    std::string moved;
    for (const std::uint32_t oid : {16384, 20001, 16384, 1663}) number(moved, oid);
    CHECK(take(payload_of({}, moved), wal::rm_database) == ErrorCode::internal);
}

TEST(LeftPages, RefusesANewMapThatWouldLetClientsIn) {
    for (const std::uint32_t oid : {16384, 16385}) {
        std::string data;
        number(data, oid);
        number(data, std::uint64_t{0});
        CHECK(take(payload_of({}, data), wal::rm_map) == (oid == 16384 ? ErrorCode::refused : ErrorCode::internal));
    }
}

TEST(LeftPages, RefusesWhatMakesNoSense) {
    const std::string good = payload_of({{16384, 7, will_init}});
    for (std::size_t size = 1; size + 3 < good.size(); ++size) {
        const ErrorCode code = take(good.substr(0, size));
        CHECK_TEXT(code == ErrorCode::corrupt || size > 22, std::to_string(size).c_str());
    }
    CHECK(take(std::string(1, '\x40')) == ErrorCode::corrupt);
}
