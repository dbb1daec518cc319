#include "tools/cofferctl/arguments.h"

#include <CppUTest/TestHarness.h>

#include "lib/base/error.h"

#include "tools/cofferctl/commands.h"

using namespace coffer;
using namespace coffer::cofferctl;

namespace {

std::optional<Invocation> parse(std::vector<const char*> words, int& status) {
    words.insert(words.begin(), "cofferctl");
    return parse_command_line(static_cast<int>(words.size()), words.data(), all_commands(), status);
}

}  // namespace

TEST_GROUP(CofferctlArguments){};

TEST(CofferctlArguments, CommandsAreKnownByAllTheirNames) {
    int status = 0;
    for (const auto& [word, name] : {std::pair("list-backup", "list-backups"), std::pair("show-server", "show-servers"),
                                     std::pair("switch-xlog", "switch-wal"), std::pair("status", "status")}) {
        const auto invocation = parse({"-f", "json", word, "main", "other"}, status);
        CHECK_TEXT(invocation.has_value(), word);
        STRCMP_EQUAL(name, std::string(invocation->command->name).c_str());
        CHECK(invocation->format == Format::json);
        LONGS_EQUAL(2, invocation->arguments.positionals.size());
    }
}

TEST(CofferctlArguments, OptionsAndServersMayBeMixed) {
    int status = 0;
    const auto invocation =
        parse({"-c", "/x.conf", "backup", "main", "-w", "--name", "before", "other", "--wait-timeout", "5"}, status);
    CHECK(invocation.has_value());
    STRCMP_EQUAL("/x.conf", invocation->config->c_str());
    CHECK(invocation->arguments.flag("wait"));
    STRCMP_EQUAL("before", invocation->arguments.text("name")->c_str());
    LONGS_EQUAL(5, *invocation->arguments.number("wait_timeout", 100));
    LONGS_EQUAL(2, invocation->arguments.positionals.size());
    CHECK_THROWS(Error, (void)invocation->arguments.number("wait_timeout", 4));
}

TEST(CofferctlArguments, WhatBarmanHasAndThisVersionHasNotIsRefused) {
    int status = 0;
    try {
        (void)parse({"restore", "main", "/x", "--remote-ssh-command", "ssh x"}, status);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_supported);
    }
    CHECK(parse({"restore", "main", "/x", "--no-retry"}, status).has_value());
}

TEST(CofferctlArguments, EveryCommandHasAFunction) {
    for (const Command& command : all_commands()) CHECK_TEXT(command.run != nullptr, std::string(command.name).c_str());
}
