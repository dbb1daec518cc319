#include "lib/base/service_options.h"

#include <CppUTest/TestHarness.h>

#include <cstdlib>
#include <vector>

#include "lib/base/error.h"

using namespace coffer;

namespace {

ServiceOptions parse(std::vector<const char*> words) {
    words.insert(words.begin(), "coffer-test");
    return parse_service_options(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_GROUP(ServiceOptions){void setup() override{::unsetenv("RUNTIME_DIRECTORY");
::unsetenv("COFFER_RUNTIME_DIR");
}
void teardown() override {
    setup();
}
}
;

TEST(ServiceOptions, TakesValuesAsOneWordOrTwo) {
    const ServiceOptions options = parse({"--config", "/a", "--runtime-dir=/b", "--log-level", "DEBUG"});
    STRCMP_EQUAL("/a", options.config->c_str());
    STRCMP_EQUAL("/b", options.runtime_dir.c_str());
    CHECK(options.log_level == LogLevel::debug);
    CHECK(options.action == ServiceOptions::Action::run);
}

TEST(ServiceOptions, FindsTheRuntimeDirectoryWhereSystemdMadeIt) {
    STRCMP_EQUAL("/run/coffer", parse({}).runtime_dir.c_str());
    ::setenv("COFFER_RUNTIME_DIR", "/tmp/c", 1);
    STRCMP_EQUAL("/tmp/c", parse({}).runtime_dir.c_str());
    ::setenv("RUNTIME_DIRECTORY", "/run/x:/run/y", 1);
    STRCMP_EQUAL("/run/x", parse({}).runtime_dir.c_str());
}

TEST(ServiceOptions, RefusesWhatItDoesNotKnow) {
    const std::vector<std::vector<const char*>> bad = {{"--config"}, {"--log-level", "loud"}, {"--what"}, {"file"}};
    for (const auto& words : bad) CHECK_THROWS(Error, parse(words));
}
