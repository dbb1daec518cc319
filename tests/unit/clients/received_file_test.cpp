#include "tools/clients/received_file.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "tools/clients/spool.h"

using namespace coffer;
using namespace coffer::clients;

namespace {

std::string packed(const std::string& plain) {
    std::string bytes(::ZSTD_compressBound(plain.size()), '\0');
    bytes.resize(::ZSTD_compress(bytes.data(), bytes.size(), plain.data(), plain.size(), 1));
    return bytes;
}

}  // namespace

TEST_GROUP(ReceivedFile) {
    Path folder;
    const std::string name = "00000002.history";
    const std::string content = "1\t0/3000158\tno recovery target specified\n";
    void setup() override {
        char template_name[] = "/tmp/coffer-received-XXXXXX";
        folder = ::mkdtemp(template_name);
    }
    void teardown() override {
        std::filesystem::remove_all(folder);
    }
    bool is_empty() {
        return std::filesystem::is_empty(folder);
    }
};

TEST(ReceivedFile, HasItsNameOnlyWhenItIsWhole) {
    for (const bool zstd : {false, true}) {
        ReceivedFile file(folder / ".tmp", name);
        file.begin(zstd);
        const std::string bytes = zstd ? packed(content) : content;
        for (const char& c : bytes) file.add(as_byte_span(std::string_view(&c, 1)));
        file.finish(content.size(), crc32c(as_byte_span(content)));
        CHECK_FALSE(std::filesystem::exists(folder / name));
        file.move_to(folder / name);
        STRCMP_EQUAL(content.c_str(), read_file(folder / name)->c_str());
        std::filesystem::remove(folder / name);
    }
}

TEST(ReceivedFile, SeveralFramesAreOneFile) {
    ReceivedFile file(folder / ".tmp", name);
    file.begin(true);
    file.add(as_byte_span(packed(content.substr(0, 10)) + packed(content.substr(10))));
    file.finish(content.size(), crc32c(as_byte_span(content)));
}

TEST(ReceivedFile, NothingStaysOfWhatIsWrong) {
    const std::uint32_t right = crc32c(as_byte_span(content));
    {
        ReceivedFile file(folder / ".tmp", name);
        file.add(as_byte_span(content));
        CHECK_THROWS(Error, file.finish(content.size() + 1, right));
    }
    {
        ReceivedFile file(folder / ".tmp", name);
        file.add(as_byte_span(content));
        CHECK_THROWS(Error, file.finish(content.size(), right ^ 1));
    }
    {
        ReceivedFile file(folder / ".tmp", name);
        file.begin(true);
        const std::string bytes = packed(content);
        file.add(as_byte_span(std::string_view(bytes).substr(0, bytes.size() - 1)));
        CHECK_THROWS(Error, file.finish(content.size(), right));
    }
    {
        ReceivedFile file(folder / ".tmp", name);
        file.begin(true);
        CHECK_THROWS(Error, file.add(as_byte_span(content)));
    }
    CHECK(is_empty());
}

TEST(ReceivedFile, ASegmentWithoutAChecksumMustSayItselfThatItIsWhole) {
    const std::string segment_name = "000000010000000000000002";
    std::string segment(std::size_t{1} << 20, '\0');
    const std::uint64_t address = 2 << 20;
    const std::uint32_t size = 1 << 20;
    segment[0] = 1;
    segment.replace(8, sizeof address, reinterpret_cast<const char*>(&address), sizeof address);
    segment.replace(32, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
    {
        ReceivedFile file(folder / ".tmp", segment_name);
        file.add(as_byte_span(segment));
        file.finish_unchecked();
    }
    {
        ReceivedFile file(folder / ".tmp", segment_name);
        file.add(as_byte_span(std::string_view(segment).substr(0, size / 2)));
        CHECK_THROWS(Error, file.finish_unchecked());
    }
    {
        ReceivedFile file(folder / ".tmp", "000000010000000000000003");
        file.add(as_byte_span(segment));
        CHECK_THROWS(Error, file.finish_unchecked());
    }
    {
        ReceivedFile file(folder / ".tmp", segment_name);
        CHECK_THROWS(Error, file.finish_unchecked());
    }
}

TEST(ReceivedFile, AHandOverIsReadBackAsItWasTold) {
    const HandOver told{123456789012, 16777216, 1764536400123456789};
    std::string line = format(told);
    line.pop_back();
    CHECK(parse_hand_over(line) == told);
    for (const char* wrong : {"", "ready", "ready 1 2", "ready 1 2 3 4", "ready 1 2 3x", "absent x"}) {
        CHECK_FALSE(parse_hand_over(wrong).has_value());
    }
}
