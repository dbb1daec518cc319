#include "lib/wal/wire_serve.h"

#include <CppUTest/TestHarness.h>
#include <fcntl.h>

#include "lib/base/crc32c.h"
#include "lib/base/error.h"
#include "lib/wal/codec.h"
#include "lib/wal/proof.h"
#include "tests/unit/lib/wal/server_fixture.h"
#include "tests/unit/lib/wal/wal_builder.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

std::string segment_of(std::uint64_t number) {
    static const test::WalBuilder wal = [] {
        test::WalOptions options;
        options.first = {1, 1};
        test::WalBuilder builder(options);
        for (int i = 0; i < 4; ++i) builder.fill_segment();
        return builder;
    }();
    return wal.segment(number);
}

std::string name_of_segment(std::uint64_t number) {
    return Segment{1, number}.name(*SegmentSize::from_bytes(megabyte));
}

// What a client makes of the answers to one request.
struct Answer {
    std::string lines;  // without those of data
    std::string bytes;  // as they came
    std::string plain;
};

Answer ask(const config::Server& server, const std::string& line) {
    Answer answer;
    bool zstd = false;
    WireServer answers(server, std::nullopt, [&](std::string_view told, ByteSpan data) {
        const auto reply = wire::parse_reply(told.substr(0, told.size() - 1));
        LONGS_EQUAL(data.size(), reply.kind == wire::Reply::Kind::data ? reply.size : 0);
        if (reply.kind != wire::Reply::Kind::data) answer.lines += told;
        zstd = zstd || reply.zstd;
        answer.bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
    });
    answers.answer(line);
    answer.plain = zstd ? decompress(as_byte_span(answer.bytes), 64 * megabyte, "answer") : answer.bytes;
    return answer;
}

std::string end_of(const std::string& plain) {
    wire::Reply reply;
    reply.kind = wire::Reply::Kind::end;
    reply.size = plain.size();
    reply.crc = crc32c(as_byte_span(plain));
    return wire::format(reply);
}

void archive_compressed(const test::ServerFixture& box, std::uint64_t number, const std::string& plain, bool proven) {
    const Path path = archive_path(box.server, name_of_segment(number));
    std::filesystem::create_directories(path.parent_path());
    const UniqueFd fd = files().open(path, O_WRONLY | O_CREAT | O_TRUNC);
    compress_to(fd.get(), as_byte_span(plain), Codec::zstd, zstd_for_wal, path);
    if (proven) CHECK(keep_proof(fd.get(), proof_of(as_byte_span(plain))));
}

}  // namespace

TEST_GROUP(WireServe) {
    test::ServerFixture box;
};

TEST(WireServe, GreetsWithItsVersion) {
    STRCMP_EQUAL("coffer-wal 1\n", ask(box.server, "hello 7").lines.c_str());
}

TEST(WireServe, GivesAPlainSegmentPlainOrCompressed) {
    const std::string plain = segment_of(2);
    box.archive(name_of_segment(2), plain);
    const std::string name = name_of_segment(2);
    const Answer as_it_is = ask(box.server, "get " + name);
    STRCMP_EQUAL(("wal " + name + " plain\n" + end_of(plain)).c_str(), as_it_is.lines.c_str());
    CHECK(as_it_is.bytes == plain);
    const Answer packed = ask(box.server, "get " + name + " zstd");
    STRCMP_EQUAL(("wal " + name + " zstd\n" + end_of(plain)).c_str(), packed.lines.c_str());
    CHECK(packed.plain == plain);
    CHECK(packed.bytes.size() < plain.size());
}

TEST(WireServe, GivesWhatLiesCompressedAsItLies) {
    const std::string plain = segment_of(3);
    for (const bool proven : {true, false}) {
        archive_compressed(box, 3, plain, proven);
        const Answer answer = ask(box.server, "get " + name_of_segment(3) + " zstd");
        CHECK(answer.plain == plain);
        STRCMP_EQUAL(("wal " + name_of_segment(3) + " zstd\n" + end_of(plain)).c_str(), answer.lines.c_str());
    }
}

TEST(WireServe, ASegmentUnderAnotherNameIsDamagedHoweverWellProven) {
    archive_compressed(box, 3, segment_of(2), true);
    const Answer answer = ask(box.server, "get " + name_of_segment(3) + " zstd");
    STRCMP_CONTAINS("damaged", answer.lines.c_str());
    STRCMP_CONTAINS("another segment", answer.lines.c_str());
}

TEST(WireServe, DamageIsToldInPlaceOfTheEnd) {
    std::string bytes = segment_of(2);
    bytes[megabyte / 2] ^= 1;
    box.archive(name_of_segment(2), bytes);
    const Answer answer = ask(box.server, "get " + name_of_segment(2));
    STRCMP_CONTAINS((" " + name_of_segment(2) + " damaged ").c_str(), answer.lines.c_str());
    CHECK(answer.lines.find("\nend ") == std::string::npos);
}

TEST(WireServe, AbsenceAndHolesAreDifferentThings) {
    box.archive(name_of_segment(1), segment_of(1));
    box.archive(name_of_segment(3), segment_of(3));
    const std::string hole = name_of_segment(2);
    STRCMP_EQUAL(("absent " + hole + "\n").c_str(), ask(box.server, "get " + hole).lines.c_str());
    STRCMP_CONTAINS(("error " + hole + " hole ").c_str(), ask(box.server, "get " + hole + " whole").lines.c_str());
    const std::string behind = name_of_segment(4);
    STRCMP_EQUAL(("absent " + behind + "\n").c_str(), ask(box.server, "get " + behind + " whole").lines.c_str());
}

TEST(WireServe, PeeksUpToAHole) {
    for (const std::uint64_t number : {1, 2, 4}) box.archive(name_of_segment(number), segment_of(number));
    STRCMP_EQUAL(("name " + name_of_segment(1) + "\nname " + name_of_segment(2) + "\ndone\n").c_str(),
                 ask(box.server, "peek 10 " + name_of_segment(1)).lines.c_str());
    STRCMP_EQUAL("done\n", ask(box.server, "peek 10 " + name_of_segment(3)).lines.c_str());
}

TEST(WireServe, NonsenseIsAnsweredAndForgotten) {
    STRCMP_CONTAINS("error - request not a request", ask(box.server, "put everything").lines.c_str());
    STRCMP_CONTAINS("request not a valid wal file name", ask(box.server, "get ../../etc/passwd").lines.c_str());
    STRCMP_CONTAINS("request", ask(box.server, "get 000000010000000000000001.partial").lines.c_str());
}

TEST(WireServe, AnArchiveThatIsNotThereHoldsNotNothing) {
    std::filesystem::remove_all(box.server.wals_directory);
    STRCMP_CONTAINS(" failed the WAL archive is not there", ask(box.server, "get " + name_of_segment(1)).lines.c_str());
}

TEST(WireServe, AClientThatGoesAwayEndsIt) {
    box.archive(name_of_segment(2), segment_of(2));
    for (const int lines : {0, 1, 2}) {
        int told = 0;
        WireServer answers(box.server, std::nullopt, [&](std::string_view, ByteSpan) {
            if (told++ == lines) throw Error(ErrorCode::io, "broken pipe");
            if (told > lines) throw Error(ErrorCode::io, "broken pipe");
        });
        CHECK_THROWS(Error, answers.answer("get " + name_of_segment(2)));
    }
}
