#include "tools/clients/box.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;
using namespace coffer::clients;

namespace {

Box a_box() {
    Box box;
    box.host = "backup";
    box.server = "shop";
    return box;
}

}  // namespace

TEST_GROUP(ClientsBox){};

TEST(ClientsBox, TheShellOfTheBoxSeesTheWordsAsTheyAre) {
    STRCMP_EQUAL("/etc/barman.conf", quoted_for_shell("/etc/barman.conf").c_str());
    STRCMP_EQUAL("''", quoted_for_shell("").c_str());
    STRCMP_EQUAL("'a b'", quoted_for_shell("a b").c_str());
    STRCMP_EQUAL("'$(x);`y`'", quoted_for_shell("$(x);`y`").c_str());
    STRCMP_EQUAL("'it'\\''s'", quoted_for_shell("it's").c_str());
}

TEST(ClientsBox, AsksForOneCommandOnTheBox) {
    Box box = a_box();
    box.port = "2222";
    box.config = "/etc/my box.conf";
    const auto argv = ssh_command(box, "cofferctl", {"serve-wal", "shop"});
    STRCMP_EQUAL("ssh", argv.front().c_str());
    STRCMP_EQUAL("cofferctl -c '/etc/my box.conf' serve-wal shop", argv.back().c_str());
    STRCMP_EQUAL("backup", argv[argv.size() - 2].c_str());
    STRCMP_EQUAL("--", argv[argv.size() - 3].c_str());
    STRCMP_EQUAL("2222", argv[argv.size() - 4].c_str());
}

TEST(ClientsBox, NamesThatWouldBeOptionsAreRefused) {
    check(a_box());
    Box box = a_box();
    box.host = "-oProxyCommand=x";
    CHECK_THROWS(Error, check(box));
    box = a_box();
    box.server = "--config";
    CHECK_THROWS(Error, check(box));
    box = a_box();
    box.user = "";
    CHECK_THROWS(Error, check(box));
    for (const char* port : {"0", "65536", "22x", "-1", " 22"}) {
        box = a_box();
        box.port = port;
        CHECK_THROWS(Error, check(box));
    }
}

TEST(ClientsBox, AChildsEndIsItsStatus) {
    LONGS_EQUAL(7, Child({"sh", "-c", "exit 7"}, true).wait());
    LONGS_EQUAL(128 + 15, Child({"sh", "-c", "kill $$"}, true).wait());
    CHECK_THROWS(Error, (void)Child({"/no/such/program"}, true));
}
