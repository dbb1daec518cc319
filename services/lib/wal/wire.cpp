#include "lib/wal/wire.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "lib/base/error.h"

namespace coffer::wal::wire {
namespace {

constexpr std::size_t max_word = 64;

[[noreturn]] void malformed(const std::string& what, std::string_view line) {
    std::string shown;
    for (const char c : line.substr(0, 80)) shown += c >= ' ' && c < '\x7f' ? c : '?';
    throw Error(ErrorCode::protocol, what, shown);
}

// The words of a line, single spaces between them.
std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

std::uint64_t number_of(std::string_view word, std::uint64_t most, std::string_view line) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc() || end != word.data() + word.size() || value > most) {
        malformed("a number up to " + std::to_string(most) + " is missing", line);
    }
    return value;
}

std::string name_in(std::string_view word, std::string_view line) {
    if (!is_word(word)) malformed("a name is missing", line);
    return std::string(word);
}

std::uint32_t crc_in(std::string_view word, std::string_view line) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    if (word.size() != 8 || error != std::errc() || end != word.data() + word.size()) {
        malformed("a checksum is missing", line);
    }
    return value;
}

std::string hex_of(std::uint32_t value) {
    std::string text(8, '0');
    for (std::size_t at = 8; at-- > 0; value >>= 4) text[at] = "0123456789abcdef"[value & 15];
    return text;
}

void need(std::size_t found, std::size_t wanted, std::string_view line) {
    if (found != wanted) malformed("a line with another number of words was expected", line);
}

void take_flags(Request& request, std::span<const std::string_view> words, std::string_view line) {
    for (const std::string_view word : words) {
        if (word == "partial") {
            request.partial = true;
        } else if (word == "whole" && request.kind == Request::Kind::get) {
            request.whole = true;
        } else if (word == "zstd" && request.kind == Request::Kind::get) {
            request.zstd = true;
        } else {
            malformed("unknown word in a request", line);
        }
    }
}

// One line, whatever was in it.
std::string one_line(std::string_view text) {
    constexpr std::size_t room = max_line - 2 * max_word - 32;
    std::string line(text.substr(0, room));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return line;
}

}  // namespace

bool is_word(std::string_view text) noexcept {
    return !text.empty() && text.size() <= max_word &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string format(const Request& request) {
    using Kind = Request::Kind;
    if (request.kind == Kind::hello) return "hello " + std::to_string(request.count) + "\n";
    if (!is_word(request.name)) throw Error(ErrorCode::invalid_argument, "not a name", request.name);
    std::string line = request.kind == Kind::get ? "get " : "peek " + std::to_string(request.count) + " ";
    line += request.name;
    if (request.partial) line += " partial";
    if (request.whole && request.kind == Kind::get) line += " whole";
    if (request.zstd && request.kind == Kind::get) line += " zstd";
    return line + "\n";
}

Request parse_request(std::string_view line) {
    const auto words = words_of(line);
    const auto rest = std::span(words);
    Request request;
    if (words[0] == "hello") {
        need(words.size(), 2, line);
        request.kind = Request::Kind::hello;
        request.count = number_of(words[1], 1000000, line);
    } else if (words[0] == "get" && words.size() >= 2) {
        request.name = name_in(words[1], line);
        take_flags(request, rest.subspan(2), line);
    } else if (words[0] == "peek" && words.size() >= 3) {
        request.kind = Request::Kind::peek;
        request.count = number_of(words[1], max_peek, line);
        request.name = name_in(words[2], line);
        take_flags(request, rest.subspan(3), line);
    } else {
        malformed("not a request", line);
    }
    return request;
}

std::string format(const Reply& reply) {
    using Kind = Reply::Kind;
    switch (reply.kind) {
        case Kind::hello:
            return "coffer-wal " + std::to_string(reply.size) + "\n";
        case Kind::wal:
            return "wal " + reply.name + (reply.zstd ? " zstd\n" : " plain\n");
        case Kind::data:
            return "data " + std::to_string(reply.size) + "\n";
        case Kind::end:
            return "end " + std::to_string(reply.size) + " " + hex_of(reply.crc) + "\n";
        case Kind::absent:
            return "absent " + reply.name + "\n";
        case Kind::error:
            return "error " + reply.name + " " + reply.fault + " " + one_line(reply.text) + "\n";
        case Kind::name:
            return "name " + reply.name + "\n";
        case Kind::done:
            break;
    }
    return "done\n";
}

Reply parse_reply(std::string_view line) {
    using Kind = Reply::Kind;
    const auto words = words_of(line);
    Reply reply;
    if (words[0] == "coffer-wal") {
        need(words.size(), 2, line);
        reply.kind = Kind::hello;
        reply.size = number_of(words[1], 1000000, line);
    } else if (words[0] == "wal") {
        need(words.size(), 3, line);
        reply.kind = Kind::wal;
        reply.name = name_in(words[1], line);
        reply.zstd = words[2] == "zstd";
        if (!reply.zstd && words[2] != "plain") malformed("unknown compression", line);
    } else if (words[0] == "data") {
        need(words.size(), 2, line);
        reply.kind = Kind::data;
        reply.size = number_of(words[1], max_data, line);
    } else if (words[0] == "end") {
        need(words.size(), 3, line);
        reply.kind = Kind::end;
        reply.size = number_of(words[1], std::uint64_t{1} << 40, line);
        reply.crc = crc_in(words[2], line);
    } else if (words[0] == "absent" || words[0] == "name") {
        need(words.size(), 2, line);
        reply.kind = words[0] == "name" ? Kind::name : Kind::absent;
        reply.name = name_in(words[1], line);
    } else if (words[0] == "error" && words.size() >= 4) {
        reply.kind = Kind::error;
        reply.name = name_in(words[1], line);
        reply.fault = name_in(words[2], line);
        reply.text = line.substr(static_cast<std::size_t>(words[3].data() - line.data()));
    } else if (words[0] == "done") {
        need(words.size(), 1, line);
    } else {
        malformed("not an answer", line);
    }
    return reply;
}

void Splitter::feed(std::span<const std::byte> bytes, const Line& line, const Data& data) {
    while (!bytes.empty()) {
        if (data_left_ > 0) {
            const auto part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(data_left_, bytes.size())));
            data_left_ -= part.size();
            bytes = bytes.subspan(part.size());
            data(part);
            continue;
        }
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const std::size_t end = text.find('\n');
        const std::size_t piece = std::min(end, text.size());
        if (begun_.size() + piece >= max_line)
            malformed("a line is too long", begun_ + std::string(text.substr(0, 80)));
        begun_ += text.substr(0, piece);
        bytes = bytes.subspan(std::min(piece + 1, bytes.size()));
        if (end == std::string_view::npos) return;
        const std::string whole = std::move(begun_);
        begun_.clear();
        data_left_ = line(whole);
    }
}

}  // namespace coffer::wal::wire
