#include "lib/pg/one_line.h"

#include <algorithm>
#include <vector>

namespace coffer::pg {
namespace {

// With one blank between words, and none around them.
std::string words_of(std::string_view line) {
    std::string words;
    for (const char c : line) {
        const bool blank = c == ' ' || c == '\t' || c == '\r';
        if (!blank) {
            words += c;
        } else if (!words.empty() && words.back() != ' ') {
            words += ' ';
        }
    }
    if (!words.empty() && words.back() == ' ') words.pop_back();
    return words;
}

}  // namespace

std::string one_line(std::string_view text) {
    std::string all;
    std::vector<std::string> told;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string line = words_of(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || std::find(told.begin(), told.end(), line) != told.end()) continue;
        all += (all.empty() ? "" : "; ") + line;
        told.push_back(std::move(line));
    }
    return all;
}

}  // namespace coffer::pg
