#include "lib/image/increment.h"

#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/image/patched_file.h"

using namespace coffer;
using namespace coffer::image;

namespace {

void put_number(std::string& to, std::uint32_t value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string increment(std::uint32_t truncation, const std::vector<std::uint32_t>& blocks, char fill = 'n') {
    std::string text;
    put_number(text, 0xd3ae1f0d);
    put_number(text, static_cast<std::uint32_t>(blocks.size()));
    put_number(text, truncation);
    for (const std::uint32_t block : blocks) put_number(text, block);
    if (!blocks.empty()) text.resize((text.size() + page_size - 1) / page_size * page_size);
    for (const std::uint32_t block : blocks) text += std::string(page_size, static_cast<char>(fill + block % 5));
    return text;
}

struct Parsed {
    IncrementHeader header;
    std::vector<std::pair<std::uint32_t, char>> blocks;
};

Parsed parse(const std::string& text, std::size_t step, std::uint64_t size = 0) {
    Parsed parsed;
    IncrementParser parser(
        size != 0 ? size : text.size(), [&](const IncrementHeader& header) { parsed.header = header; },
        [&](std::uint32_t block, Page page) {
            CHECK(std::all_of(page.begin(), page.end(), [&](std::byte byte) { return byte == page[0]; }));
            parsed.blocks.emplace_back(block, static_cast<char>(page[0]));
        });
    for (std::size_t at = 0; at < text.size(); at += step) {
        parser.append(as_byte_span(std::string_view(text).substr(at, step)));
    }
    parser.finish();
    return parsed;
}

bool refuses(const std::string& text, std::uint64_t size = 0) {
    try {
        (void)parse(text, 1000, size);
    } catch (const Error& error) {
        return error.code() == ErrorCode::corrupt;
    }
    return false;
}

}  // namespace

TEST_GROUP(Increment){};

TEST(Increment, IsReadInPiecesOfAnySize) {
    for (const std::vector<std::uint32_t>& blocks :
         {std::vector<std::uint32_t>{}, {0}, {3, 4, 131071}, std::vector<std::uint32_t>(1)}) {
        const std::string text = increment(7, blocks);
        for (const std::size_t step : {1UL, 5UL, 8191UL, 8192UL, 8193UL, text.size()}) {
            const Parsed parsed = parse(text, step);
            UNSIGNED_LONGS_EQUAL(7, parsed.header.truncation_blocks);
            CHECK(parsed.header.blocks == blocks);
            UNSIGNED_LONGS_EQUAL(blocks.size(), parsed.blocks.size());
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                CHECK(parsed.blocks[i] == std::pair(blocks[i], static_cast<char>('n' + blocks[i] % 5)));
            }
        }
    }
}

TEST(Increment, WithSoManyBlocksThatItsHeadFillsPages) {
    std::vector<std::uint32_t> blocks(2045);  // 12 bytes and these are 8192: no zeros behind them
    for (std::uint32_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
    UNSIGNED_LONGS_EQUAL(page_size * 2046, increment(0, blocks).size());
    UNSIGNED_LONGS_EQUAL(blocks.size(), parse(increment(0, blocks), 10'000).blocks.size());
}

TEST(Increment, TellsHowLongTheFileBecomes) {
    UNSIGNED_LONGS_EQUAL(9, (IncrementHeader{9, {}}.result_blocks()));
    UNSIGNED_LONGS_EQUAL(9, (IncrementHeader{9, {1, 8}}.result_blocks()));
    UNSIGNED_LONGS_EQUAL(21, (IncrementHeader{9, {1, 20}}.result_blocks()));
}

TEST(Increment, ThatIsNoneIsRefused) {
    const std::string good = increment(7, {1, 2});
    std::string other_magic = good, unordered = good, twice = good, too_many = good;
    other_magic[0] = 'x';
    unordered[12] = 3;
    twice[12] = 2;
    too_many[6] = 3;
    for (const std::string& text : {other_magic, unordered, twice, too_many, good + "x", increment(131'073, {}),
                                    good.substr(0, good.size() - 1), good.substr(0, 4), increment(7, {131'072})}) {
        CHECK(refuses(text));
    }
    CHECK(refuses(good, good.size() + page_size));
    CHECK(refuses(good.substr(0, good.size() - page_size), good.size()));
}

TEST_GROUP(PatchedFile) {
    Path directory, path;
    void setup() override {
        char name[] = "/tmp/coffer-patched-XXXXXX";
        directory = ::mkdtemp(name);
        path = directory / "16384";
    }
    void teardown() override {
        std::filesystem::remove_all(directory);
    }

    struct Result {
        std::string content;
        std::uint64_t size = 0, written = 0;
        std::uint32_t crc = 0;
    };
    Result apply(const std::string& before, const std::string& text, bool linked = false) {
        std::filesystem::remove(path);
        std::ofstream(path) << before;
        std::filesystem::permissions(path, std::filesystem::perms(0600));
        if (linked) std::filesystem::create_hard_link(path, directory / "other");
        PatchedFile file(path, 0600, {before.size(), crc32c(as_byte_span(before)), false, 0});
        IncrementParser parser(
            text.size(), [&](const IncrementHeader& header) { file.begin(header); },
            [&](std::uint32_t block, Page page) { file.put(block, page); });
        parser.append(as_byte_span(text));
        parser.finish();
        file.finish();
        return {*read_file(path), file.size(), file.written(), file.crc32c()};
    }
};

// What pg_combinebackup does, block by block.
static std::string model(const std::string& before, std::uint32_t truncation,
                         const std::vector<std::uint32_t>& blocks) {
    std::string result;
    const std::uint32_t length = blocks.empty() ? truncation : std::max(truncation, blocks.back() + 1);
    for (std::uint32_t block = 0; block < length; ++block) {
        if (std::find(blocks.begin(), blocks.end(), block) != blocks.end()) {
            result += std::string(page_size, static_cast<char>('n' + block % 5));
        } else if (block < truncation && (block + 1) * page_size <= before.size()) {
            result += before.substr(block * page_size, page_size);
        } else {
            result += std::string(page_size, '\0');
        }
    }
    return result;
}

TEST(PatchedFile, BecomesWhatPgCombinebackupMakes) {
    std::mt19937 random(7);
    for (int round = 0; round < 150; ++round) {
        std::string before((random() % 12) * page_size + (random() % 8 == 0 ? 100 : 0), '\0');
        for (std::size_t at = 0; at < before.size(); at += 512) before[at] = static_cast<char>(random());
        std::vector<std::uint32_t> blocks;
        for (std::uint32_t block = 0; block < 16; ++block) {
            if (random() % 4 == 0) blocks.push_back(block);
        }
        const std::uint32_t truncation = random() % 16;
        const std::string expected = model(before, truncation, blocks);
        for (const bool linked : {false, true}) {
            const Result result = apply(before, increment(truncation, blocks), linked);
            CHECK(result.content == expected);
            UNSIGNED_LONGS_EQUAL(expected.size(), result.size);
            UNSIGNED_LONGS_EQUAL(crc32c(as_byte_span(expected)), result.crc);
            if (linked) {
                CHECK(*read_file(directory / "other") == before);
                std::filesystem::remove(directory / "other");
            }
        }
    }
    CHECK(std::distance(std::filesystem::directory_iterator(directory), {}) == 1);
}

TEST(PatchedFile, WritesOnlyWhatDiffers) {
    const std::string before = model("", 0, {0, 1, 2, 3, 4, 5, 6, 7});
    UNSIGNED_LONGS_EQUAL(0, apply(before, increment(8, {2, 3})).written);
    UNSIGNED_LONGS_EQUAL(2 * page_size, apply(before, increment(8, {2, 3}, 'A')).written);
    UNSIGNED_LONGS_EQUAL(0, apply(before, increment(8, {}), true).written);
    LONGS_EQUAL(2, std::filesystem::hard_link_count(path));  // nothing changed: still shared
}

TEST(PatchedFile, MustBeWhatTheManifestSays) {
    const std::string before(3 * page_size, 'x');
    write_file_durably(path, before, 0600);
    const std::uint32_t crc = crc32c(as_byte_span(before));
    CHECK_THROWS(Error, PatchedFile(path, 0600, {before.size() + 1, crc, false, 0}));
    CHECK_THROWS(Error, PatchedFile(directory / "absent", 0600, {0, 0, false, 0}));
    PatchedFile cut(path, 0600, {before.size(), crc + 1, false, 0});
    CHECK_THROWS(Error, cut.begin({2, {}}));  // what is cut off is read, so what is kept is proven
    PatchedFile damaged(path, 0600, {before.size(), crc + 1, true, 0});
    damaged.begin({3, {1}});
    const std::string page(page_size, 'y');
    CHECK_THROWS(Error, damaged.put(1, as_byte_span(page).first<page_size>()));
    CHECK(*read_file(path) == before);
}

// It was being written while it was read: the manifest has it as it is.
TEST(PatchedFile, MayHoldPagesThatWereTornInTheEarlierBackup) {
    const std::string before(3 * page_size, 'x');
    write_file_durably(path, before, 0600);
    PatchedFile file(path, 0600, {before.size(), crc32c(as_byte_span(before)), true, 0});
    file.begin({4, {1, 2}});
    const std::string page(page_size, 'y');
    file.put(1, as_byte_span(page).first<page_size>());
    file.put(2, as_byte_span(page).first<page_size>());
    file.finish();
    UNSIGNED_LONGS_EQUAL(crc32c(as_byte_span(*read_file(path))), file.crc32c());
}

TEST(PatchedFile, TakesTheModeOfTheMember) {
    const std::string before(page_size, 'x');
    write_file_durably(path, before, 0640);
    PatchedFile file(path, 0600, {before.size(), crc32c(as_byte_span(before)), false, 0});
    file.begin({1, {}});
    file.finish();
    struct stat status {};
    ::stat(path.c_str(), &status);
    UNSIGNED_LONGS_EQUAL(0600, status.st_mode & 0777);
}
