#include "lib/restore/left_pages.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/crc32c.h"
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
    std::uint32_t relation = 16500;
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
        number(headers, block.relation);
        number(headers, block.block);
        data += "\xff\xff";  // would be a header of main data at this place
    }
    if (!main_data.empty()) {
        number(headers, std::uint8_t{255});
        number(headers, static_cast<std::uint8_t>(main_data.size()));
    }
    return headers + data + main_data;
}

// Main data that is longer than a byte can say.
std::string long_payload(const std::string& main_data) {
    std::string text;
    number(text, std::uint8_t{254});
    number(text, static_cast<std::uint32_t>(main_data.size()));
    return text + main_data;
}

}  // namespace

TEST_GROUP(LeftPages) {
    LeftPages pages{{{{16384, "shop", false}, 0}}, {1262, {{700, 16384}, {701, 16385}}}};
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

TEST(LeftPages, SeesADropButNotTheMoveToAnotherTablespace) {
    const auto dropped_from = [](const std::vector<std::uint32_t>& tablespaces) {
        std::string data;
        number(data, std::uint32_t{16384});
        number(data, static_cast<std::uint32_t>(tablespaces.size()));
        for (const std::uint32_t oid : tablespaces) number(data, oid);
        return payload_of({}, data);
    };
    std::string moved;
    for (const std::uint32_t oid : {16384, 20001, 16384, 1663}) number(moved, oid);
    take(payload_of({}, moved), wal::rm_database);
    take(dropped_from({1663}), wal::rm_database, 0x20);
    CHECK(!pages.dropped(16384));
    take(dropped_from({20001, 20002}), wal::rm_database, 0x10);  // another kind since 15
    CHECK(!pages.dropped(16384));
    take(dropped_from({20001, 20002}), wal::rm_database, 0x20);
    CHECK(pages.dropped(16384) && !pages.dropped(16385));
}

TEST(LeftPages, RefusesANewNameOfADatabase) {
    const auto on_names = [](std::uint32_t relation, std::uint32_t database) {
        return payload_of({{database, 0, 0, 0, relation}});
    };
    for (const std::uint8_t info : {0x20, 0x40, 0xA0, 0xC0})
        CHECK(take(on_names(1262, 0), wal::rm_heap, info) == ErrorCode::refused);
    for (const std::uint8_t info : {0x00, 0x10, 0x60, 0x70})
        CHECK(take(on_names(1262, 0), wal::rm_heap, info) == ErrorCode::internal);
    CHECK(take(on_names(1262, 0), 11, 0x20) == ErrorCode::internal);
    CHECK(take(on_names(1262, 5), wal::rm_heap, 0x20) == ErrorCode::internal);
    // VACUUM FULL of pg_database gives it another file.
    std::string map;
    for (const std::uint32_t word : {0x592717U, 1U, 1262U, 30000U}) number(map, word);
    map.resize(520);
    number(map, crc32c(as_byte_span(map)));
    std::string data;
    for (const std::uint32_t word : {0U, 1664U, 524U}) number(data, word);
    check_passes(on_names(30000, 0));
    CHECK(take(long_payload(data + map), wal::rm_map) == ErrorCode::internal);
    CHECK(take(on_names(30000, 0), wal::rm_heap, 0x20) == ErrorCode::refused);
}

TEST(LeftPages, RefusesAPreparedTransactionThatNobodyCouldEnd) {
    const auto refused = [this] {
        try {
            pages.require_ended();
        } catch (const Error& error) {
            return error.code() == ErrorCode::refused;
        }
        return false;
    };
    const auto prepare = [](std::uint32_t xid, std::uint32_t database) {
        std::string data;
        for (const std::uint32_t word : {0x57F94534U, 100U, xid, database}) number(data, word);
        return payload_of({}, data);
    };
    const auto end = [](std::uint32_t xid) {
        std::string data;
        number(data, std::uint64_t{1});   // when
        number(data, std::uint32_t{16});  // what is told: a prepared transaction
        number(data, xid);
        return payload_of({}, data);
    };
    CHECK(refused());  // the one of the backup's files
    take(end(700), wal::rm_xact, 0x30 | 0x80);
    CHECK(!refused());
    take(prepare(800, 16385), wal::rm_xact, 0x10);
    CHECK(!refused());
    take(prepare(801, 16384), wal::rm_xact, 0x10);
    CHECK(refused());
    take(end(801), wal::rm_xact, 0x40 | 0x80);
    CHECK(!refused());
}

TEST(LeftPages, RefusesWhatMakesNoSense) {
    const std::string good = payload_of({{16384, 7, will_init}});
    for (std::size_t size = 1; size + 3 < good.size(); ++size) {
        const ErrorCode code = take(good.substr(0, size));
        CHECK_TEXT(code == ErrorCode::corrupt || size > 22, std::to_string(size).c_str());
    }
    CHECK(take(std::string(1, '\x40')) == ErrorCode::corrupt);
}
