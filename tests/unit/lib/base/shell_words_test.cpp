#include "lib/base/shell_words.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

using namespace coffer;

TEST_GROUP(ShellWords){};

TEST(ShellWords, SplitsAsAShellDoes) {
    const struct {
        const char* line;
        std::vector<std::string> words;
    } cases[] = {
        {"", {}},
        {"  \t ", {}},
        {"barman put-wal main", {"barman", "put-wal", "main"}},
        {"barman  --config='/etc/b.conf'\tput-wal", {"barman", "--config=/etc/b.conf", "put-wal"}},
        {"get-wal --peek '5' 'main' '00000002.history'", {"get-wal", "--peek", "5", "main", "00000002.history"}},
        {"a '' \"\" b", {"a", "", "", "b"}},
        {"a'b c'\"d e\"f", {"ab cd ef"}},
        {R"(a\ b \'c \\)", {"a b", "'c", "\\"}},
        {R"('$HOME `x` \' "\$x \"y\" \\ \z '")", {"$HOME `x` \\", "$x \"y\" \\ \\z '"}},
        {"'|;&<>(){}*?[]#~!'", {"|;&<>(){}*?[]#~!"}},
    };
    for (const auto& each : cases) CHECK_TEXT(split_shell_words(each.line) == each.words, each.line);
}

TEST(ShellWords, RefusesWhatAShellWouldDoMore) {
    for (const char* line :
         {"a; b",     "a & b",  "a | b", "a > b", "a < b",   "a $b",  "a `b`", "a $(b)",     "a \"$b\"", "a \"`b`\"",
          "a *",      "a ?",    "a [b]", "~/a",   "#a",      "{a,b}", "!a",    "(a)",        "a\nb",     "a \"b\nc\"",
          "a 'b\nc'", "a\\\nb", "a 'b",  "a \"b", "a \"b\\", "a \\",  "a\x7f", "a '\x1b[2J'"}) {
        CHECK_THROWS(Error, (void)split_shell_words(line));
    }
    CHECK_THROWS(Error, (void)split_shell_words(std::string(longest_command + 1, 'a')));
    LONGS_EQUAL(1, split_shell_words(std::string(longest_command, 'a')).size());
}

TEST(ShellWords, UnderstandsWhatItHasQuoted) {
    for (const std::string word : {"", "a", "/etc/a.conf", "a b", "it's", "'", "$x", "a\\b", "\"", "été"}) {
        const auto words = split_shell_words("x " + quote_shell_word(word));
        LONGS_EQUAL(2, words.size());
        STRCMP_EQUAL(word.c_str(), words[1].c_str());
    }
    STRCMP_EQUAL("main", quote_shell_word("main").c_str());
}
