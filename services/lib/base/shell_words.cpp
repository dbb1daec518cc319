#include "lib/base/shell_words.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "lib/base/error.h"

namespace coffer {
namespace {

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
}

bool means_itself(char c) {
    constexpr std::string_view harmless = "_-./=:,@%+^";
    const auto byte = static_cast<unsigned char>(c);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80 ||
           harmless.find(c) != std::string_view::npos;
}

class Splitter {
  public:
    explicit Splitter(std::string_view line) : line_(line) {}

    std::vector<std::string> split() {
        for (; at_ < line_.size(); ++at_) {
            const char c = line_[at_];
            if (c == ' ' || c == '\t') {
                end_word();
            } else if (c == '\'') {
                single_quoted();
            } else if (c == '"') {
                double_quoted();
            } else if (c == '\\') {
                add(next("a backslash at the end"));
            } else if (means_itself(c)) {
                add(c);
            } else {
                refuse(is_control(c) ? "a control character" : fmt::format("an unquoted '{}'", c));
            }
        }
        end_word();
        return std::move(words_);
    }

  private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw Error(ErrorCode::invalid_argument, fmt::format("the command line has {} at character {}", what, at_ + 1),
                    {}, "send plain words; only quotes and backslashes are understood");
    }

    void add(char c) {
        if (is_control(c)) refuse("a control character");
        in_word_ = true;
        word_.push_back(c);
    }

    void end_word() {
        if (in_word_) words_.push_back(std::exchange(word_, {}));
        in_word_ = false;
    }

    char next(const char* otherwise) {
        if (at_ + 1 >= line_.size()) refuse(otherwise);
        return line_[++at_];
    }

    void single_quoted() {
        in_word_ = true;
        for (char c = next("an open quote"); c != '\''; c = next("an open quote")) add(c);
    }

    void double_quoted() {
        in_word_ = true;
        for (char c = next("an open quote"); c != '"'; c = next("an open quote")) {
            if (c == '$' || c == '`') refuse(fmt::format("a '{}' that a shell would expand", c));
            if (c == '\\') {
                c = next("an open quote");
                if (std::string_view("$`\"\\").find(c) == std::string_view::npos) add('\\');
            }
            add(c);
        }
    }

    std::string_view line_;
    std::size_t at_ = 0;
    std::string word_;
    bool in_word_ = false;  // it may be an empty one
    std::vector<std::string> words_;
};

}  // namespace

std::vector<std::string> split_shell_words(std::string_view line) {
    if (line.size() > longest_command) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("the command line is longer than {} characters", longest_command));
    }
    return Splitter(line).split();
}

std::string quote_shell_word(std::string_view word) {
    if (!word.empty() && std::all_of(word.begin(), word.end(), means_itself)) return std::string(word);
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

}  // namespace coffer
