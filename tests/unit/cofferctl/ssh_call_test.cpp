#include "tools/cofferctl/ssh_call.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::cofferctl;

TEST_GROUP(SshCall) {
    SshGrant granted;
    void setup() override {
        granted.server = "main";
        granted.put = granted.get = granted.restore = true;
    }
    std::string call(std::string_view original) {
        std::string text;
        for (const std::string& word : allowed_call(granted, original)) text += (text.empty() ? "" : " ") + word;
        return text;
    }
    void becomes(const char* original, const char* expected) {
        STRCMP_EQUAL(expected, call(original).c_str());
    }
    void refused(const std::string& original) {
        try {
            FAIL((original + " became " + call(original)).c_str());
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::refused || error.code() == ErrorCode::invalid_argument);
        }
    }
};

// What barman-wal-archive and barman-wal-restore of 3.4 and 3.20 send.
TEST(SshCall, UnderstandsBarmansClients) {
    becomes("barman put-wal main", "put-wal main");
    becomes("barman --config='/etc/barman.conf' put-wal main --test", "put-wal --test main");
    becomes("barman get-wal 'main' '000000010000000000000001'", "get-wal main 000000010000000000000001");
    becomes("barman --config /etc/barman.conf get-wal --peek '5' --partial 'main' '000000010000000000000001'",
            "get-wal --peek 5 --partial main 000000010000000000000001");
    becomes("barman get-wal --test 'main' 'dummy_wal_name'", "get-wal --test main dummy_wal_name");
    becomes("barman get-wal --gzip 'main' '00000002.history'", "get-wal --gzip main 00000002.history");
    becomes("barman get-wal --keep-compression --partial 'main' '00000002.history'",
            "get-wal --keep-compression --partial main 00000002.history");
}

TEST(SshCall, KnowsTheProgramsAndOptionsByTheirNames) {
    for (const char* program : {"barman", "cofferctl", "coffer", "/usr/bin/barman", "/usr/bin/cofferctl"})
        becomes((std::string(program) + " -q put-wal -t main").c_str(), "--quiet put-wal --test main");
    becomes("barman -c x -d --color=never --log-level DEBUG -f json list-backup main --minimal",
            "--format json list-backups --minimal main");
    becomes("cofferctl get-wal -P -z -p5 main 000000010000000000000001",
            "get-wal --partial --gzip --peek 5 main 000000010000000000000001");
    becomes("cofferctl get-wal --peek=7 -j main 000000010000000000000001",
            "get-wal --peek 7 --bzip2 main 000000010000000000000001");
    becomes("cofferctl serve-wal main", "serve-wal main");
    becomes("cofferctl serve-wal --idle 60 main", "serve-wal --idle 60 main");
    becomes("barman show-backup main latest", "show-backup main latest");
    becomes("barman show-backup main 'before upgrade'", "show-backup main before upgrade");
}

TEST(SshCall, IsForWhatTheKeyIsMeantFor) {
    const struct {
        const char* list;
        bool put, get, list_backups;
    } cases[] = {{"put", true, false, false},
                 {"get", false, true, false},
                 {"restore", false, true, true},
                 {"put,get", true, true, false},
                 {"put,get,restore", true, true, true}};
    for (const auto& each : cases) {
        granted = {};
        granted.server = "main";
        grant(granted, each.list);
        for (const auto& [command, allowed] :
             {std::pair("barman put-wal main", each.put), std::pair("barman get-wal main 00000002.history", each.get),
              std::pair("cofferctl serve-wal main", each.get),
              std::pair("barman show-backup main latest", each.list_backups),
              std::pair("barman list-backups main", each.list_backups)}) {
            if (allowed)
                CHECK(!call(command).empty());
            else
                refused(command);
        }
    }
    CHECK_THROWS(Error, grant(granted, "put,all"));
    SshGrant nothing;
    CHECK_THROWS(Error, grant(nothing, ""));
}

TEST(SshCall, RefusesAllElse) {
    for (const char* original : {"",
                                 "  ",
                                 "barman",
                                 "barman -q",
                                 "bash",
                                 "/bin/sh -c id",
                                 "./barman put-wal main",
                                 "/tmp/barman put-wal main",
                                 "/usr/bin/../bin/barman put-wal main",
                                 "/usr/bin//usr/bin/barman put-wal main",
                                 "barman-wal-archive x",
                                 "rsync --server --sender . /",
                                 "scp -f /etc/passwd",
                                 "env barman put-wal main",
                                 "A=1 barman put-wal main",
                                 "internal-sftp",
                                 "barman put-wal main; id",
                                 "barman put-wal main && id",
                                 "barman put-wal `id`",
                                 "barman put-wal $(id)",
                                 "barman put-wal main > /etc/passwd",
                                 "barman put-wal main < /etc/passwd",
                                 "barman put-wal main\nid",
                                 "barman put-wal other",
                                 "barman put-wal all",
                                 "barman put-wal main main",
                                 "barman put-wal",
                                 "barman put-wal ''",
                                 "barman put-wal --unknown main",
                                 "barman put-wal -- main",
                                 "barman put-wal --te main",
                                 "barman restore main latest /srv",
                                 "barman delete main oldest",
                                 "barman cron",
                                 "barman backup main",
                                 "barman ssh-serve main --allow put",
                                 "barman get-wal main",
                                 "barman list-backups",
                                 "barman list-backups all",
                                 "barman show-backup other latest",
                                 "barman show-backup main",
                                 "barman show-backup main latest latest",
                                 "barman -f xml list-backups main",
                                 "barman -c",
                                 "barman --format",
                                 "barman --config put-wal",
                                 "barman serve-wal other",
                                 "barman serve-wal --idle 0 main"})
        refused(original);
}

// Nothing may be written on the box but what put-wal stores.
TEST(SshCall, LetsGetWalWriteNoFiles) {
    for (const char* option : {"-o /tmp", "-o/tmp", "--output-directory /tmp", "--output-directory=/tmp",
                               "--output /tmp", "--to /tmp/x", "--to=/tmp/x", "--stop-at-hole", "-Po /tmp", "-Pz",
                               "-p 0", "-p -1", "-p x", "--peek=", "--peek 9999999", "-p"})
        refused(std::string("barman get-wal ") + option + " main 000000010000000000000001");
    refused("barman get-wal main ../../../etc/passwd");
    refused("barman get-wal main dummy_wal_name");
    refused("barman get-wal main 000000010000000000000001 extra");
}

TEST(SshCall, MayAcceptConflictsForTheClient) {
    granted.accept_conflict = true;
    becomes("barman put-wal main", "put-wal --accept-conflict main");
    becomes("barman get-wal main 00000002.history", "get-wal main 00000002.history");
    granted.accept_conflict = false;
    becomes("barman put-wal --accept-conflict main", "put-wal --accept-conflict main");
}
