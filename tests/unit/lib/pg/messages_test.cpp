#include "lib/pg/messages.h"

#include <CppUTest/TestHarness.h>

#include <string>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::pg;

namespace {

std::string eight(std::uint64_t value) {
    std::string text;
    for (int shift = 56; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
    return text;
}

}  // namespace

TEST_GROUP(StreamMessages){};

TEST(StreamMessages, ReadsWalWithItsPositions) {
    const std::string message = "w" + eight(0x16B3748) + eight(0x100000000) + eight(7) + "wal bytes";
    const auto wal = std::get<WalData>(parse_stream_message(as_byte_span(message)));
    CHECK(wal.start == Lsn{0x16B3748});
    CHECK(wal.server_end == Lsn{0x100000000});
    UNSIGNED_LONGS_EQUAL(9, wal.data.size());
    CHECK(wal.data[0] == std::byte{'w'});
}

TEST(StreamMessages, ReadsKeepalivesAndWhetherTheyWantAnAnswer) {
    for (const bool wanted : {false, true}) {
        const std::string message = "k" + eight(0xABCDEF0123) + eight(7) + std::string(1, wanted ? '\1' : '\0');
        const auto keepalive = std::get<Keepalive>(parse_stream_message(as_byte_span(message)));
        CHECK(keepalive.server_end == Lsn{0xABCDEF0123});
        CHECK_EQUAL(wanted, keepalive.reply_requested);
    }
}

TEST(StreamMessages, RefusesWhatIsShortEmptyOrUnknown) {
    for (const std::string& message : {std::string(), std::string("w"), "w" + eight(1) + eight(2) + "1234567",
                                       "k" + eight(1) + eight(2), std::string("x") + eight(1)}) {
        CHECK_THROWS(Error, (void)parse_stream_message(as_byte_span(message)));
    }
}

TEST(StreamMessages, BuildsAStatusUpdateByteForByte) {
    using namespace std::chrono;
    const StatusUpdate status{Lsn{0x0102030405060708}, Lsn{2}, Lsn{3}, sys_days{year{2000} / 1 / 2}, true};
    const std::string expected = "r" + eight(0x0102030405060708) + eight(2) + eight(3) + eight(86400000000) + "\1";
    const StatusMessage message = build_status_update(status);
    MEMCMP_EQUAL(expected.data(), message.data(), message.size());
}
