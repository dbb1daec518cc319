#include "lib/base/program.h"

#include <CppUTest/TestHarness.h>
#include <sys/eventfd.h>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

using namespace coffer;

TEST_GROUP(Program){};

TEST(Program, HasItsInputAndItsLinesAndItsStatus) {
    std::vector<std::string> lines;
    Program program{{"sh", "-c", "cat; echo $WORD; printf last; echo oops >&2; exit 3"}, {"WORD=two"}, "one\n", -1, {}};
    program.output = [&](std::string_view line) { lines.emplace_back(line); };
    const ProgramEnd end = run_program(program);
    LONGS_EQUAL(3, end.status);
    STRCMP_EQUAL("oops", end.errors.c_str());
    LONGS_EQUAL(3, lines.size());
    STRCMP_EQUAL("one", lines[0].c_str());
    STRCMP_EQUAL("two", lines[1].c_str());
    STRCMP_EQUAL("last", lines[2].c_str());
}

TEST(Program, TellsTheSignalThatEndedIt) {
    LONGS_EQUAL(128 + 9, run_program({{"sh", "-c", "kill -9 $$"}, {}, {}, -1, {}}).status);
}

TEST(Program, IsNotWaitedForLongerThanItRuns) {
    // What it leaves behind holds its output open, and is ended.
    std::string line;
    Program program{{"sh", "-c", "sleep 1000 & echo $!"}, {}, {}, -1, {}};
    program.output = [&](std::string_view text) { line = text; };
    LONGS_EQUAL(0, run_program(program).status);
    CHECK(!line.empty());
}

TEST(Program, EndsWhenItIsToldTo) {
    const UniqueFd stop(::eventfd(1, EFD_CLOEXEC));
    try {
        (void)run_program({{"sleep", "1000"}, {}, {}, stop.get(), {}});
        FAIL("it ran to its end");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::canceled);
    }
}

TEST(Program, EndsWhenNobodyCanTakeItsOutput) {
    Program program{{"sh", "-c", "echo one; exec sleep 1000"}, {}, {}, -1, {}};
    program.output = [](std::string_view) { throw Error(ErrorCode::protocol, "not this"); };
    CHECK_THROWS(Error, (void)run_program(program));
    CHECK_THROWS(Error, (void)run_program({{"sh", "-c", "tr '\\0' x </dev/zero"}, {}, {}, -1, {}}));
}

TEST(Program, OneThatIsNotThereIsNamed) {
    try {
        (void)run_program({{"no-such-program-here"}, {}, {}, -1, {}});
        FAIL("it ran");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_supported);
        STRCMP_EQUAL("no-such-program-here", error.where().c_str());
    }
}
