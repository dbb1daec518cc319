#include "services/job/request.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::job;

namespace {

constexpr OptionSpec specs[] = {{"wait", OptionSpec::Kind::flag, ""},
                                {"name", OptionSpec::Kind::text, ""},
                                {"tablespace", OptionSpec::Kind::repeated, ""}};
const Command commands[] = {{"backup", "", specs, nullptr}};

JobRequest spec(const char* text) {
    return parse_spec(text, commands, "spec");
}

std::optional<JobRequest> arguments(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    int exit_status = 0;
    return parse_arguments(static_cast<int>(argv.size()), argv.data(), commands, exit_status);
}

}  // namespace

TEST_GROUP(JobRequest){};

TEST(JobRequest, IsReadFromAFile) {
    const JobRequest request =
        spec(R"({"job_id": "7", "kind": "backup", "server": "main", "config": "/c", "progress_socket": "/s",
        "options": {"wait": true, "name": 12, "tablespace": ["a:/b", "c:/d"]}})");
    STRCMP_EQUAL("7", request.job_id.c_str());
    STRCMP_EQUAL("main", request.server.c_str());
    STRCMP_EQUAL("/c", request.config->c_str());
    CHECK(request.options.flag("wait"));
    STRCMP_EQUAL("12", request.options.text("name")->c_str());
    LONGS_EQUAL(2, request.options.all("tablespace").size());
}

TEST(JobRequest, RefusesADescriptionThatItDoesNotUnderstand) {
    for (const char* const text : {"", "[]", R"({"kind": "backup"})", R"({"kind": "dance", "server": "main"})",
                                   R"({"kind": "backup", "server": "main", "options": {"unknown": 1}})",
                                   R"({"kind": "backup", "server": "main", "options": {"wait": 1}})",
                                   R"({"kind": "backup", "server": "main", "options": {"name": {}}})",
                                   R"({"kind": "backup", "server": [], "options": {}})"}) {
        CHECK_THROWS(Error, spec(text));
    }
}

TEST(JobRequest, IsReadFromTheCommandLine) {
    const auto request = arguments({"coffer-job", "backup", "main", "--config", "/c", "--wait", "--name", "x",
                                    "--tablespace", "a:/b", "--tablespace", "c:/d", "--job-id", "9"});
    CHECK(request.has_value());
    STRCMP_EQUAL("backup", request->kind.c_str());
    STRCMP_EQUAL("9", request->job_id.c_str());
    CHECK(request->options.flag("wait"));
    STRCMP_EQUAL("x", request->options.text("name")->c_str());
    LONGS_EQUAL(2, request->options.all("tablespace").size());
}
