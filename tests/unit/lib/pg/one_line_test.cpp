#include "lib/pg/one_line.h"

#include <CppUTest/TestHarness.h>

using namespace coffer::pg;

TEST_GROUP(OneLine){};

TEST(OneLine, SaysEachThingOnce) {
    const std::string refused = "connection to server at \"db\", port 5432 failed: FATAL:  password is wrong\n";
    const struct {
        std::string text;
        const char* expected;
    } cases[] = {{"", ""},
                 {refused + refused, "connection to server at \"db\", port 5432 failed: FATAL: password is wrong"},
                 {"no entry, SSL\n\tno entry, no encryption\n", "no entry, SSL; no entry, no encryption"},
                 {"  \n\n", ""}};
    for (const auto& c : cases) STRCMP_EQUAL(c.expected, one_line(c.text).c_str());
}
