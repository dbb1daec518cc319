#include "lib/image/image_file.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include <random>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::image;

// An image's file, and what another image holds of it.
TEST_GROUP(ImageFile) {
    Path directory;
    static constexpr std::size_t page = 8192;

    void setup() override {
        char name[] = "/tmp/coffer-image-XXXXXX";
        directory = ::mkdtemp(name);
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }
    Path file() const {
        return directory / "file";
    }
    Path other() const {
        return directory / "other";
    }
    static std::string content(std::size_t size, unsigned seed = 1) {
        std::mt19937 random(seed);
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>(random());
        return text;
    }
    static std::string with_changes(std::string text, std::initializer_list<std::size_t> places) {
        for (const std::size_t at : places) text[at] = static_cast<char>(text[at] ^ 1);
        return text;
    }
    std::uint64_t write(const std::string& text, std::size_t piece, mode_t mode = 0600) const {
        ImageFile out(file(), mode);
        for (std::size_t at = 0; at < text.size(); at += piece)
            out.append(as_byte_span(text).subspan(at, std::min(piece, text.size() - at)));
        out.finish();
        UNSIGNED_LONGS_EQUAL(text.size(), out.size());
        return out.written();
    }
    struct stat status() const {
        struct stat status {};
        ::stat(file().c_str(), &status);
        return status;
    }
    std::size_t files_here() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
    }
};

TEST(ImageFile, ANewOneIsWrittenWhole) {
    const std::string text = content(100'000);
    UNSIGNED_LONGS_EQUAL(text.size(), write(text, 3000, 0640));
    CHECK(*read_file(file()) == text);
    LONGS_EQUAL(0640, status().st_mode & 07777);
}

TEST(ImageFile, OnlyPagesThatDifferAreWritten) {
    const std::string old = content(40 * page);
    const std::string wanted = with_changes(old, {0, 5 * page + 17, 6 * page, 39 * page + 8191});
    for (const std::size_t piece : {page, 4 * page, 3 * page + 100, std::size_t{1000}, std::size_t{10} << 20}) {
        write_file_durably(file(), old);
        const std::uint64_t written = write(wanted, piece);
        CHECK(*read_file(file()) == wanted);
        CHECK(written > 0);
        CHECK(written <= 4 * page);
        if (piece % page == 0) UNSIGNED_LONGS_EQUAL(4 * page, written);
    }
}

TEST(ImageFile, BecomesShorterLongerOrEmpty) {
    const std::string longest = content(10 * page);
    for (const std::size_t before : {std::size_t{0}, page, 3 * page + 5, 10 * page}) {
        for (const std::size_t after : {std::size_t{0}, std::size_t{5}, page, 3 * page, 10 * page}) {
            for (const bool linked : {false, true}) {
                const std::string old = longest.substr(0, before);
                write_file_durably(file(), old);
                if (linked) std::filesystem::create_hard_link(file(), other());
                const std::uint64_t written = write(longest.substr(0, after), 2 * page);
                CHECK(*read_file(file()) == longest.substr(0, after));
                if (linked) {
                    CHECK(*read_file(other()) == old);
                    std::filesystem::remove(other());
                } else {
                    CHECK(written <= (after > before ? after - before + page : 0));
                }
            }
        }
    }
}

TEST(ImageFile, AHardLinkIsNeverWrittenTo) {
    const std::string old = content(300 * page);
    for (const std::size_t at : {std::size_t{0}, 150 * page + 3, 300 * page - 1}) {
        write_file_durably(file(), old);
        std::filesystem::create_hard_link(file(), other());
        const std::string wanted = with_changes(old, {at});
        UNSIGNED_LONGS_EQUAL(old.size(), write(wanted, 32 * page));
        CHECK(*read_file(file()) == wanted);
        CHECK(*read_file(other()) == old);
        LONGS_EQUAL(1, status().st_nlink);
        std::filesystem::remove(other());
        UNSIGNED_LONGS_EQUAL(1, files_here());
    }
}

TEST(ImageFile, AHardLinkStaysOneWhileNothingDiffers) {
    const std::string old = content(20 * page);
    write_file_durably(file(), old, 0600);
    std::filesystem::create_hard_link(file(), other());
    UNSIGNED_LONGS_EQUAL(0, write(old, 5 * page));
    LONGS_EQUAL(2, status().st_nlink);
    // A mode belongs to all names of a file.
    UNSIGNED_LONGS_EQUAL(old.size(), write(old, 5 * page, 0640));
    LONGS_EQUAL(1, status().st_nlink);
    struct stat others {};
    ::stat(other().c_str(), &others);
    LONGS_EQUAL(0600, others.st_mode & 07777);
}

TEST(ImageFile, TakesThePlaceOfWhatIsNoFile) {
    std::filesystem::create_directories(file() / "below");
    write("text", 4);
    std::filesystem::remove(file());
    write_file_durably(other(), "other");
    std::filesystem::create_symlink(other(), file());
    write("text", 4);
    STRCMP_EQUAL("text", read_file(file())->c_str());
    STRCMP_EQUAL("other", read_file(other())->c_str());
}

TEST(ImageFile, OneThatIsGivenUpLeavesTheOtherImageAndNoTrace) {
    const std::string old = content(20 * page);
    write_file_durably(file(), old);
    std::filesystem::create_hard_link(file(), other());
    {
        ImageFile out(file(), 0600);
        out.append(as_byte_span(content(5 * page, 2)));
    }
    CHECK(*read_file(file()) == old);
    CHECK(*read_file(other()) == old);
    UNSIGNED_LONGS_EQUAL(2, files_here());
}

TEST(ImageFile, ManyRandomChangesGiveWhatWasWanted) {
    std::mt19937 random(7);
    const auto up_to = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random); };
    std::string now = content(17 * page);
    write_file_durably(file(), now);
    for (unsigned round = 0; round < 200; ++round) {
        std::string next = now.substr(0, up_to(now.size()));
        next += content(up_to(4 * page), round);
        for (std::size_t i = up_to(5); i > 0 && !next.empty(); --i) next[up_to(next.size() - 1)] = 'x';
        const bool linked = up_to(1) == 1;
        std::filesystem::remove(other());
        if (linked) std::filesystem::create_hard_link(file(), other());
        write(next, 1 + up_to(3 * page));
        CHECK(*read_file(file()) == next);
        if (linked) CHECK(*read_file(other()) == now);
        now = next;
    }
}
