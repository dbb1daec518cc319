#include "lib/catalogue/python_literal.h"

#include <charconv>

#include <fmt/format.h>

namespace coffer::catalogue {
namespace {

constexpr int deepest = 16;

void append_utf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}

// A cursor over the text; every function returns nullopt at the first thing that is not as it should be.
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    std::optional<PythonValue> whole() {
        auto value = any(0);
        skip_space();
        if (!rest_.empty()) return std::nullopt;
        return value;
    }

  private:
    void skip_space() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }
    bool take(std::string_view token) {
        if (!rest_.starts_with(token)) return false;
        rest_.remove_prefix(token.size());
        return true;
    }

    std::optional<PythonValue> any(int depth) {
        skip_space();
        if (rest_.empty() || depth > deepest) return std::nullopt;
        switch (rest_.front()) {
            case '[':
                return sequence(']', depth);
            case '(':
                return sequence(')', depth);
            case '{':
                return dictionary(depth);
            case '\'':
            case '"':
                return string();
            default:
                break;
        }
        if (take("None")) return PythonValue{PythonValue::None{}};
        if (take("True")) return PythonValue{true};
        if (take("False")) return PythonValue{false};
        return number();
    }

    std::optional<PythonValue> sequence(char end, int depth) {
        rest_.remove_prefix(1);
        PythonValue::Sequence items;
        for (;;) {
            skip_space();
            if (take({&end, 1})) return PythonValue{std::move(items)};
            auto item = any(depth + 1);
            if (!item) return std::nullopt;
            items.push_back(std::move(*item));
            skip_space();
            if (!take(",") && (rest_.empty() || rest_.front() != end)) return std::nullopt;
        }
    }

    std::optional<PythonValue> dictionary(int depth) {
        rest_.remove_prefix(1);
        PythonValue::Sequence pairs;
        for (;;) {
            skip_space();
            if (take("}")) return PythonValue{std::move(pairs)};
            auto key = any(depth + 1);
            skip_space();
            if (!key || !take(":")) return std::nullopt;
            auto value = any(depth + 1);
            if (!value) return std::nullopt;
            PythonValue::Sequence pair;
            pair.push_back(std::move(*key));
            pair.push_back(std::move(*value));
            pairs.push_back(PythonValue{std::move(pair)});
            skip_space();
            if (!take(",") && (rest_.empty() || rest_.front() != '}')) return std::nullopt;
        }
    }

    std::optional<PythonValue> number() {
        const std::size_t length = std::min(rest_.find_first_not_of("+-.0123456789eE"), rest_.size());
        const std::string_view digits = rest_.substr(0, length);
        const char* const end = digits.data() + digits.size();
        std::int64_t integer = 0;
        double real = 0;
        rest_.remove_prefix(length);
        if (const auto got = std::from_chars(digits.data(), end, integer); got.ec == std::errc() && got.ptr == end) {
            return PythonValue{integer};
        }
        if (const auto got = std::from_chars(digits.data(), end, real); got.ec == std::errc() && got.ptr == end) {
            return PythonValue{real};
        }
        return std::nullopt;
    }

    std::optional<PythonValue> string() {
        const char quote = rest_.front();
        rest_.remove_prefix(1);
        std::string out;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == quote) return PythonValue{std::move(out)};
            if (c != '\\') {
                out += c;
            } else if (!escape(out)) {
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

    bool escape(std::string& out) {
        if (rest_.empty()) return false;
        const char c = rest_.front();
        rest_.remove_prefix(1);
        switch (c) {
            case 'n':
                out += '\n';
                return true;
            case 't':
                out += '\t';
                return true;
            case 'r':
                out += '\r';
                return true;
            case 'x':
                return code_point(out, 2);
            case 'u':
                return code_point(out, 4);
            case 'U':
                return code_point(out, 8);
            case '\\':
            case '\'':
            case '"':
                out += c;
                return true;
            default:  // Python keeps unknown escapes as they are
                out += '\\';
                out += c;
                return true;
        }
    }

    bool code_point(std::string& out, std::size_t digits) {
        if (rest_.size() < digits) return false;
        std::uint32_t code = 0;
        const char* const end = rest_.data() + digits;
        const auto got = std::from_chars(rest_.data(), end, code, 16);
        if (got.ec != std::errc() || got.ptr != end || code > 0x10FFFF) return false;
        append_utf8(out, code);
        rest_.remove_prefix(digits);
        return true;
    }

    std::string_view rest_;
};

}  // namespace

std::optional<PythonValue> parse_python_literal(std::string_view text) {
    return Reader(text).whole();
}

std::string python_string(std::string_view text) {
    const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
    const char quote = double_quotes ? '"' : '\'';
    std::string out(1, quote);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\\' || c == quote) {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out += quote;
}

}  // namespace coffer::catalogue
