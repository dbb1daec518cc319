#include "services/scheduler/job_end.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"
#include "services/scheduler/job_kinds.h"

using namespace coffer;
using namespace coffer::scheduler;

TEST_GROUP(JobEnd){};

TEST(JobEnd, ReadsProgressMessages) {
    const auto message = parse_progress(R"({"job":"7","phase":"copy","done":123,"total":456,"message":"copying"})");
    STRCMP_EQUAL("7", message->job_id.c_str());
    STRCMP_EQUAL("copy", message->phase->c_str());
    CHECK_EQUAL(123U, message->done);
    CHECK_EQUAL(456U, message->total);
    CHECK(message->result == JobResult::none);
}

TEST(JobEnd, ReadsTheEndOfAJob) {
    const auto done = parse_progress(R"({"job":"7","result":"done","backup_id":"20260101T000000"})");
    CHECK(done->result == JobResult::done);
    STRCMP_EQUAL("20260101T000000", done->backup_id.c_str());
    const auto failed = parse_progress(
        R"({"job":"7","result":"failed","error":{"name":"org.pgcoffer.Error.NoSpace","what":"disk is full",)"
        R"("where":"/srv","remedy":"free some"}})");
    CHECK(failed->result == JobResult::failed);
    STRCMP_EQUAL("disk is full: /srv", failed->failure.message.c_str());
    STRCMP_EQUAL("free some", failed->failure.remedy.c_str());
    const auto canceled =
        parse_progress(R"({"job":"7","result":"failed","error":{"name":"org.pgcoffer.Error.Canceled"}})");
    CHECK(canceled->result == JobResult::canceled);
}

TEST(JobEnd, IgnoresWhatIsNoMessage) {
    for (const char* bytes : {"", "x", "[]", "{}", "{\"job\":1}", "{\"job\":\"1\"", "\xff\xfe"}) {
        CHECK_TEXT(!parse_progress(bytes).has_value(), bytes);
    }
    CHECK_EQUAL(0U, parse_progress(R"({"job":"1","phase":7,"done":-1,"total":"x"})")->done);
}

TEST(JobEnd, JudgesByTheEndOfTheProcessWhenTheLastMessageIsMissing) {
    struct Row {
        WorkerEnd end;
        bool canceling;
        JobResult expected;
    };
    const Row rows[] = {
        {{0, 0}, false, JobResult::done},     {{2, 0}, false, JobResult::done},   {{1, 0}, false, JobResult::failed},
        {{3, 0}, false, JobResult::canceled}, {{0, 9}, false, JobResult::failed}, {{0, 9}, true, JobResult::canceled},
        {{0, 15}, true, JobResult::canceled}, {{0, 0}, true, JobResult::done},
    };
    for (const Row& row : rows) CHECK(outcome_of(row.end, std::nullopt, row.canceling).result == row.expected);
    STRCMP_CONTAINS("signal 9", outcome_of({0, 9}, std::nullopt, false).failure.message.c_str());
}

TEST(JobEnd, ChecksOptionsOfARequest) {
    check_request("backup", {{"name", std::string("weekly")}, {"fast", true}, {"wait_timeout", std::uint32_t{30}}});
    const std::vector<std::string> spaces{"a:/b"};
    check_request("restore",
                  {{"backup", std::string("latest")}, {"destination", std::string("/srv")}, {"tablespace", spaces}});
    CHECK_THROWS(Error, check_request("dance", {}));
    CHECK_THROWS(Error, check_request("backup", {{"nmae", std::string("x")}}));
    CHECK_THROWS(Error, check_request("backup", {{"fast", std::string("yes")}}));
    CHECK_THROWS(Error, check_request("restore", {{"backup", std::string("latest")}}));
}
