#include "lib/wal/wire.h"

#include <CppUTest/TestHarness.h>

#include <cstring>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/files.h"

using namespace coffer;
using namespace coffer::wal;

namespace {

std::string fault_of_request(std::string_view line) {
    try {
        (void)wire::parse_request(line);
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::protocol);
        return error.what();
    }
}

}  // namespace

TEST_GROUP(Wire){};

TEST(Wire, RequestsReadBackAsTheyAreWritten) {
    for (const char* line : {"hello 1\n", "get 000000010000000000000001\n", "get 00000002.history partial whole zstd\n",
                             "peek 10 000000010000000000000001 partial\n"}) {
        const auto request = wire::parse_request(std::string_view(line, std::strlen(line) - 1));
        STRCMP_EQUAL(line, wire::format(request).c_str());
    }
}

TEST(Wire, AnswersReadBackAsTheyAreWritten) {
    for (const char* line :
         {"coffer-wal 1\n", "wal 000000010000000000000001 zstd\n", "wal 00000002.history plain\n", "data 262144\n",
          "end 16777216 00c0ffee\n", "absent 00000003.history\n", "name 000000010000000000000001\n", "done\n",
          "error 000000010000000000000001 damaged its content is not what was archived\n"}) {
        const auto reply = wire::parse_reply(std::string_view(line, std::strlen(line) - 1));
        STRCMP_EQUAL(line, wire::format(reply).c_str());
    }
}

TEST(Wire, SaysWhatIsWrongWithARequest) {
    const struct {
        const char* line;
        const char* fault;
    } cases[] = {
        {"", "not a request"},
        {"GET x", "not a request"},
        {"get", "not a request"},
        {"get ", "a name is missing"},
        {"get a b", "unknown word in a request"},
        {"get  a", "a name is missing"},
        {"get a partial ", "unknown word in a request"},
        {"peek x a", "a number up to 10000 is missing"},
        {"peek 10001 a", "a number up to 10000 is missing"},
        {"peek -1 a", "a number up to 10000 is missing"},
        {"peek 1 a zstd", "unknown word in a request"},
        {"hello", "a line with another number of words was expected"},
        {"hello 1 2", "a line with another number of words was expected"},
        {"get \x01", "a name is missing"},
    };
    for (const auto& row : cases) STRCMP_CONTAINS(row.fault, fault_of_request(row.line).c_str());
    CHECK(fault_of_request("get " + std::string(65, 'a')).starts_with("a name is missing"));
}

TEST(Wire, RefusesAnswersThatTellALengthItDoesNotTrust) {
    for (const char* line : {"data 1048577", "data -1", "data 99999999999999999999", "data", "end 1", "end 1 abc",
                             "end 1 0000000g", "wal a", "wal a lzma", "error a", "nonsense", ""}) {
        CHECK_THROWS(Error, (void)wire::parse_reply(line));
    }
}

TEST(Wire, ATextOfSeveralLinesIsToldInOne) {
    wire::Reply reply;
    reply.kind = wire::Reply::Kind::error;
    reply.name = "-";
    reply.fault = "failed";
    reply.text = "one\ntwo" + std::string(5000, 'x');
    const std::string line = wire::format(reply);
    CHECK(line.size() <= wire::max_line);
    CHECK(line.starts_with("error - failed one two"));
    LONGS_EQUAL(line.size() - 1, line.find('\n'));
}

TEST(Wire, CutsLinesAndBytesApartHoweverTheyCome) {
    const std::string stream = "wal a plain\ndata 5\nab\ncddata 0\nend 5 00000000\n";
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        wire::Splitter splitter;
        std::vector<std::string> lines;
        std::string bytes;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            splitter.feed(
                as_byte_span(std::string_view(stream).substr(at, step)),
                [&](std::string_view line) -> std::uint64_t {
                    lines.emplace_back(line);
                    const auto reply = wire::parse_reply(line);
                    return reply.kind == wire::Reply::Kind::data ? reply.size : 0;
                },
                [&](ByteSpan piece) { bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size()); });
        }
        LONGS_EQUAL(4, lines.size());
        STRCMP_EQUAL("ab\ncd", bytes.c_str());
        STRCMP_EQUAL("end 5 00000000", lines.back().c_str());
        CHECK(splitter.at_boundary());
    }
}

TEST(Wire, ALineThatDoesNotEndIsGivenUp) {
    wire::Splitter splitter;
    const auto line = [](std::string_view) { return std::uint64_t{0}; };
    const std::string half(wire::max_line / 2, 'x');
    splitter.feed(as_byte_span(half), line, [](ByteSpan) {});
    CHECK_FALSE(splitter.at_boundary());
    CHECK_THROWS(Error, splitter.feed(as_byte_span(half), line, [](ByteSpan) {}));
}
