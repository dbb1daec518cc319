#include "lib/hooks/hooks.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;
using namespace coffer::hooks;
using namespace std::chrono_literals;

TEST_GROUP(Hooks) {
    Path place;
    config::Server server;
    UniqueFd stop{::eventfd(0, EFD_CLOEXEC)};
    const Rules rules{1ms, 2ms, 5, true};

    void setup() override {
        char name[] = "/tmp/coffer-hooks-XXXXXX";
        place = ::mkdtemp(name);
        server.name = "main";
        server.main_file = "/etc/coffer/coffer.conf";
    }

    void teardown() override {
        std::filesystem::remove_all(place);
    }

    Hooks made(Stop with = {}) {
        return Hooks(server, Family::backup, with, rules);
    }
    // Appends a line to the log, then does something.
    std::string noting(const std::string& what, const std::string& then = "") {
        return "echo " + what + " >> " + (place / "log").string() + "; " + then;
    }
    std::string log() {
        std::ifstream file(place / "log");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
};

TEST(Hooks, RunInBarmansOrder) {
    server.hooks.backup = {noting("pre $BARMAN_PHASE $BARMAN_RETRY $BARMAN_HOOK"),
                           noting("pre_retry $BARMAN_PHASE $BARMAN_RETRY $BARMAN_HOOK"),
                           noting("post $COFFER_PHASE $COFFER_ERROR"),
                           noting("post_retry $COFFER_PHASE $COFFER_RETRY")};
    Hooks hooks = made();
    CHECK(hooks.any());
    hooks.before({});
    hooks.after({}, "broken");
    STRCMP_EQUAL("pre pre 0 backup_script\npre_retry pre 1 backup_retry_script\npost_retry post 1\npost post broken\n",
                 log().c_str());
}

TEST(Hooks, WithoutAnyNothingHappens) {
    CHECK(!made().any());
    made().before({});
    made().after({}, {});
}

TEST(Hooks, APlainScriptThatFailsStopsNothing) {
    server.hooks.backup.pre = noting("pre", "exit 63");
    made().before({});
    STRCMP_EQUAL("pre\n", log().c_str());
}

TEST(Hooks, ARetryScriptRunsUntilItSucceeds) {
    const std::string enough = "test $(wc -l < " + (place / "log").string() + ") -ge 7";
    server.hooks.backup.pre_retry = noting("again", enough);
    made().before({});
    const std::string text = log();
    LONGS_EQUAL(7, std::count(text.begin(), text.end(), '\n'));
}

TEST(Hooks, A62GivesUpAndGoesOnA63Stops) {
    server.hooks.backup.pre_retry = noting("once", "exit 62");
    made().before({});
    STRCMP_EQUAL("once\n", log().c_str());
    server.hooks.backup.pre_retry = "exit 63";
    try {
        made().before({});
        FAIL("it was allowed");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::refused);
        STRCMP_CONTAINS("pre_backup_retry_script", error.what());
    }
}

TEST(Hooks, A63AfterwardsStopsNothing) {
    server.hooks.backup.post_retry = noting("post_retry", "exit 63");
    server.hooks.backup.post = noting("post");
    made().after({}, {});
    STRCMP_EQUAL("post_retry\npost\n", log().c_str());
}

TEST(Hooks, AScriptThatHangsIsEndedWithItsChildren) {
    server.hooks.timeout = 1s;
    server.hooks.backup.pre = "sleep 1000 & sleep 1000";
    made().before({});  // returns
}

TEST(Hooks, WhoeverHasToEndWaitsForNoRetry) {
    ::eventfd_write(stop.get(), 1);
    server.hooks.backup.pre_retry = noting("once", "exit 1");
    const Rules long_ones{1h, 1h, 5, true};
    Hooks hooks(server, Family::backup, {stop.get(), 10s}, long_ones);
    try {
        hooks.before({});
        FAIL("it went on");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::canceled);
    }
    STRCMP_EQUAL("once\n", log().c_str());
}

TEST(Hooks, NeitherSecretsNorDescriptorsAreHandedOn) {
    ::setenv("PGPASSWORD", "secret", 1);
    ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
    const std::vector<std::string> all = environment_of(server, std::nullopt, {{"SERVER", "main"}});
    ::unsetenv("PGPASSWORD");
    ::unsetenv("CREDENTIALS_DIRECTORY");
    const auto has = [&](const std::string& text) { return std::find(all.begin(), all.end(), text) != all.end(); };
    const auto has_name = [&](const std::string& name) {
        return std::any_of(all.begin(), all.end(),
                           [&](const std::string& each) { return each.starts_with(name + "="); });
    };
    CHECK(has("BARMAN_SERVER=main") && has("COFFER_SERVER=main") && has("COFFER_CONFIG=/etc/coffer/coffer.conf"));
    CHECK(has_name("PATH"));
    CHECK(!has_name("PGPASSWORD") && !has_name("CREDENTIALS_DIRECTORY"));
    server.hooks.backup.pre = "ls /proc/self/fd | wc -l >> " + (place / "log").string();
    made().before({});
    // Of ls: the three, and the directory that it reads.
    STRCMP_EQUAL("4\n", log().c_str());
}
