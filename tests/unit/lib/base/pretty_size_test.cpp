#include "lib/base/pretty_size.h"

#include <CppUTest/TestHarness.h>

using namespace coffer;

TEST_GROUP(PrettySize){};

TEST(PrettySize, SizesAreShownAsBarmanShowsThem) {
    struct {
        double bytes;
        const char* expected;
    } const cases[] = {{0, "0 B"},
                       {-144, "-144 B"},
                       {1023, "1023 B"},
                       {1024, "1.0 KiB"},
                       {26980610, "25.7 MiB"},
                       {-4029704, "-3.8 MiB"},
                       {1099511627776.0, "1.0 TiB"},
                       {5e18, "4440.9 PiB"}};
    for (const auto& c : cases) STRCMP_EQUAL(c.expected, pretty_size(c.bytes).c_str());
}
