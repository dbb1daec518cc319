#include "tools/cofferctl/ssh_call.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "lib/base/error.h"
#include "lib/base/shell_words.h"
#include "lib/wal/segment_name.h"

namespace coffer::cofferctl {
namespace {

enum class Value { none, ignored, number, format };

struct AllowedOption {
    std::string_view canonical;             // "" has no effect here
    std::array<std::string_view, 4> names;  // the unused ones are empty
    Value value = Value::none;
};

enum class Second { nothing, wal, backup };

struct AllowedCommand {
    std::string_view name;
    std::string_view alias;
    bool SshGrant::*by;
    bool SshGrant::*or_by;
    std::vector<AllowedOption> options;
    Second second = Second::nothing;
};

const std::vector<AllowedOption>& global_options() {
    static const std::vector<AllowedOption> options{
        {"", {"-c", "--config"}, Value::ignored},
        {"--format", {"-f", "--format"}, Value::format},
        {"--quiet", {"-q", "--quiet"}},
        {"", {"-d", "--debug"}},
        {"", {"--color", "--colour"}, Value::ignored},
        {"", {"--log-level"}, Value::ignored},
    };
    return options;
}

const std::vector<AllowedCommand>& allowed_commands() {
    static const std::vector<AllowedCommand> commands{
        {"put-wal",
         "",
         &SshGrant::put,
         &SshGrant::put,
         {{"--test", {"-t", "--test"}}, {"--accept-conflict", {"--accept-conflict"}}}},
        {"get-wal",
         "",
         &SshGrant::get,
         &SshGrant::restore,
         {{"--partial", {"-P", "--partial"}},
          {"--peek", {"-p", "--peek"}, Value::number},
          {"--gzip", {"-z", "-x", "--gzip", "--compression"}},
          {"--bzip2", {"-j", "--bzip2"}},
          {"--keep-compression", {"--keep-compression"}},
          {"--test", {"-t", "--test"}}},
         Second::wal},
        {"serve-wal", "", &SshGrant::get, &SshGrant::restore, {{"--idle", {"--idle"}, Value::number}}},
        {"list-backups", "list-backup", &SshGrant::restore, &SshGrant::restore, {{"--minimal", {"--minimal"}}}},
        {"show-backup", "show-backups", &SshGrant::restore, &SshGrant::restore, {}, Second::backup},
    };
    return commands;
}

[[noreturn]] void refuse(const std::string& what) {
    throw Error(ErrorCode::refused, what, {}, "this key is for a few commands only (docs: remote)");
}

bool is_program(std::string_view word) {
    constexpr std::string_view folder = "/usr/bin/";
    if (word.starts_with(folder)) word.remove_prefix(folder.size());
    return word == "barman" || word == "cofferctl" || word == "coffer";
}

bool is_number(std::string_view text) {
    return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == text.npos && text[0] != '0';
}

class Words {
  public:
    explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}
    [[nodiscard]] bool ended() const { return at_ == words_.size(); }
    [[nodiscard]] const std::string& peek() const { return words_[at_]; }
    std::string take() { return words_[at_++]; }

  private:
    std::vector<std::string> words_;
    std::size_t at_ = 0;
};

struct Given {
    std::string_view name;
    std::optional<std::string> value;
};

// "--name", "--name=value", "-n", "-nvalue" (only of one that takes a value).
std::optional<Given> match(std::string_view word, std::string_view name, Value value) {
    if (name.empty()) return std::nullopt;
    if (word == name) return Given{name, std::nullopt};
    if (value == Value::none || !word.starts_with(name)) return std::nullopt;
    const std::string_view rest = word.substr(name.size());
    if (!name.starts_with("--")) return Given{name, std::string(rest)};
    if (rest[0] != '=') return std::nullopt;
    return Given{name, std::string(rest.substr(1))};
}

// Adds an option of the client's to the call; refuses what is not in the list.
void take_option(Words& words, const std::vector<AllowedOption>& options, std::vector<std::string>& call) {
    const std::string word = words.take();
    for (const AllowedOption& option : options) {
        for (const std::string_view name : option.names) {
            auto given = match(word, name, option.value);
            if (!given) continue;
            if (option.value != Value::none && !given->value) {
                if (words.ended()) refuse(fmt::format("option {} lacks its value", name));
                given->value = words.take();
            }
            if (option.value == Value::number && !is_number(*given->value))
                refuse(fmt::format("option {} needs a number above zero", name));
            if (option.value == Value::format && *given->value != "json" && *given->value != "console")
                refuse(fmt::format("option {} takes json or console", name));
            if (option.canonical.empty()) return;
            call.emplace_back(option.canonical);
            if (option.value != Value::none) call.push_back(*given->value);
            return;
        }
    }
    refuse(fmt::format("option '{}' is not allowed", word.substr(0, 100)));
}

const AllowedCommand& command_named(const SshGrant& granted, const std::string& word) {
    for (const AllowedCommand& command : allowed_commands()) {
        if (word != command.name && (command.alias.empty() || word != command.alias)) continue;
        if (granted.*command.by || granted.*command.or_by) return command;
        break;
    }
    refuse(fmt::format("command '{}' is not allowed", word.substr(0, 100)));
}

void check_second(const AllowedCommand& command, const std::string& word, bool test) {
    if (command.second == Second::wal && !test) {
        const auto kind = wal::kind_of(word);
        if (kind == wal::FileKind::unknown || kind == wal::FileKind::temporary)
            refuse(fmt::format("'{}' is no name of a WAL file", word.substr(0, 100)));
    }
}

}  // namespace

void grant(SshGrant& to, std::string_view list) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        const std::string_view word = list.substr(0, end);
        list.remove_prefix(std::min(end + 1, list.size()));
        if (word == "put")
            to.put = true;
        else if (word == "get")
            to.get = true;
        else if (word == "restore")
            to.restore = true;
        else
            throw Error(ErrorCode::invalid_argument, fmt::format("there is nothing called '{}' to allow", word), {},
                        "put, get and restore can be allowed, with commas between them");
    }
    if (!to.put && !to.get && !to.restore)
        throw Error(ErrorCode::invalid_argument, "nothing is allowed", {}, "--allow put,get,restore");
}

std::vector<std::string> allowed_call(const SshGrant& granted, std::string_view original) {
    Words words(split_shell_words(original));
    if (words.ended()) refuse("there is no command, and this key opens no shell");
    if (!is_program(words.peek())) refuse(fmt::format("program '{}' is not allowed", words.peek().substr(0, 100)));
    (void)words.take();
    std::vector<std::string> call;
    while (!words.ended() && words.peek().starts_with('-')) take_option(words, global_options(), call);
    if (words.ended()) refuse("there is no command");
    const AllowedCommand& command = command_named(granted, words.take());
    call.emplace_back(command.name);
    std::vector<std::string> positionals;
    while (!words.ended()) {
        if (words.peek().starts_with('-'))
            take_option(words, command.options, call);
        else
            positionals.push_back(words.take());
    }
    const std::size_t wanted = command.second == Second::nothing ? 1 : 2;
    if (positionals.size() != wanted) refuse(fmt::format("{} has {} arguments", command.name, wanted));
    if (positionals[0] != granted.server)
        refuse(fmt::format("server '{}' is not the one of this key", positionals[0].substr(0, 100)));
    const bool test = std::find(call.begin(), call.end(), "--test") != call.end();
    if (wanted == 2) check_second(command, positionals[1], test);
    if (command.name == "put-wal" && granted.accept_conflict) call.emplace_back("--accept-conflict");
    call.insert(call.end(), positionals.begin(), positionals.end());
    return call;
}

}  // namespace coffer::cofferctl
