#include "lib/rsync/command.h"

#include <CppUTest/TestHarness.h>

#include <algorithm>

#include "lib/rsync/ssh_words.h"

using namespace coffer;
using namespace coffer::rsync;

TEST_GROUP(RsyncCommand){static bool has(const std::vector<std::string>& words, const std::string& word){
    return std::find(words.begin(), words.end(), word) != words.end();
}
}
;

TEST(RsyncCommand, SshNeverAsksAndAlwaysChecksTheHost) {
    const auto words = ssh_words("ssh -q -o StrictHostKeyChecking=no -F '/etc/my ssh' postgres@db1");
    STRCMP_EQUAL("ssh", words.front().c_str());
    STRCMP_EQUAL("postgres@db1", words.back().c_str());
    const auto strict = std::find(words.begin(), words.end(), "StrictHostKeyChecking=yes");
    const auto lax = std::find(words.begin(), words.end(), "StrictHostKeyChecking=no");
    CHECK(strict < lax);  // the first one counts
    CHECK(has(words, "BatchMode=yes") && has(words, "/etc/my ssh"));
    CHECK_THROWS(Error, (void)ssh_words("ssh"));
    CHECK_THROWS(Error, (void)ssh_words("ssh $(reboot)"));
    CHECK_THROWS(Error, (void)ssh_words("ssh db1; reboot"));
}

TEST(RsyncCommand, WordsSurviveRsyncsOwnQuoting) {
    STRCMP_EQUAL("ssh -F '/a b' 'it''s' ''", rsh_text({"ssh", "-F", "/a b", "it's", ""}).c_str());
}

TEST(RsyncCommand, WritesInPlaceOnlyWhereItMay) {
    const auto shared = copy_command({{}, "/data"}, "/image", {true, false, false, 0});
    CHECK(has(shared, "--inplace") && has(shared, "--no-whole-file") && !has(shared, "--ignore-times"));
    const auto linked = copy_command({{"ssh", "db1"}, "/data"}, "/image", {false, true, true, 500});
    CHECK(!has(linked, "--inplace") && has(linked, "--ignore-times") && has(linked, "--compress"));
    CHECK(has(linked, "--bwlimit=500") && has(linked, ":/data/") && has(linked, "--rsh") && has(linked, "/image/"));
}

TEST(RsyncCommand, TellsWhatAnEndMeans) {
    const struct {
        int status;
        const char* errors;
        bool failed, retry;
        ErrorCode code;
    } cases[] = {
        {0, "", false, false, ErrorCode::io},
        {24, "file has vanished: \"/d/base/5/1\"", false, false, ErrorCode::io},
        {23,
         "symlink has no referent: \"/d/x\"\nrsync error: some files/attrs were not transferred (code 23) at main.c",
         false, false, ErrorCode::io},
        {23, "rsync: [sender] link_stat \"/d/x\" failed: No such file or directory (2)\nrsync error: (code 23)", false,
         false, ErrorCode::io},
        {23, "rsync: [sender] change_dir \"/d\" failed: No such file or directory (2)\nrsync error: (code 23)", true,
         false, ErrorCode::io},
        {23, "rsync: [sender] send_files failed to open \"/d/x\": Permission denied (13)", true, false, ErrorCode::io},
        {23, "ERROR: base/5/1 failed verification -- update put into place.", true, true, ErrorCode::io},
        {23, "", true, false, ErrorCode::io},
        {255, "Host key verification failed.", true, false, ErrorCode::permission_denied},
        {255, "a@b: Permission denied (publickey).", true, false, ErrorCode::permission_denied},
        {255, "ssh: connect to host db1 port 22: Connection refused", true, true, ErrorCode::server_unreachable},
        {12, "rsync: connection unexpectedly closed", true, true, ErrorCode::server_unreachable},
        {127, "bash: line 1: rsync: command not found", true, false, ErrorCode::not_supported},
        {2, "protocol version mismatch -- is your shell clean?", true, false, ErrorCode::protocol},
        {11, "rsync: write failed on \"/x\": No space left on device (28)", true, false, ErrorCode::no_space},
        {137, "", true, false, ErrorCode::io},
    };
    for (const auto& each : cases) {
        const auto failure = failure_of({each.status, each.errors}, "/d");
        CHECK_EQUAL_TEXT(each.failed, failure.has_value(), each.errors);
        if (!failure) continue;
        CHECK_TEXT(failure->error.code() == each.code, each.errors);
        CHECK_EQUAL_TEXT(each.retry, failure->retry, each.errors);
        CHECK_TEXT(!failure->error.remedy().empty(), each.errors);
    }
}
