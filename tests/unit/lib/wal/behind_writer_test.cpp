#include "lib/wal/behind_writer.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include <cstdlib>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::wal;

TEST_GROUP(BehindWriter) {
    Path home;
    void setup() override {
        char name[] = "/tmp/coffer-behind-XXXXXX";
        home = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(home);
    }
    static std::string text_of(std::size_t size) {
        std::string text(size, ' ');
        for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i % 251);
        return text;
    }
};

TEST(BehindWriter, WritesAllOfItInOrder) {
    for (const std::size_t size : {0, 1, 256 * 1024, 256 * 1024 + 1, 5 * 1024 * 1024 + 77}) {
        const std::string text = text_of(size);
        const Path path = home / std::to_string(size);
        const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT);
        BehindWriter writer(fd.get(), path);
        for (std::size_t at = 0; at < size; at += 70001) {
            writer.write(as_byte_span(text).subspan(at, std::min<std::size_t>(70001, size - at)));
        }
        writer.finish();
        CHECK(read_file(path) == text);
    }
}

TEST(BehindWriter, TellsWhatWentWrong) {
    const std::string text = text_of(3 << 20);
    const UniqueFd fd = files().open("/dev/full", O_WRONLY);
    for (const std::size_t size : {1UL, text.size()}) {
        try {
            BehindWriter writer(fd.get(), "/dev/full");
            writer.write(as_byte_span(text).first(size));
            writer.finish();
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::no_space);
        }
    }
}

TEST(BehindWriter, DropsWhatWasNotHandedOverWhenItIsGivenUp) {
    const Path path = home / "a";
    const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT);
    { BehindWriter(fd.get(), path).write(as_byte_span(text_of(100 * 1024))); }
    LONGS_EQUAL(0, std::filesystem::file_size(path));
}
