#include "lib/config/retention_policy.h"

#include <sstream>
#include <vector>

#include "lib/config/units.h"

namespace coffer::config {

std::optional<RetentionPolicy> RetentionPolicy::parse(std::string_view text) {
    std::istringstream stream{to_lower(text)};
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    RetentionPolicy policy;
    if (words.size() == 2 && words[0] == "redundancy") {
        const auto count = parse_number(words[1], 1, 1000000);
        if (!count) return std::nullopt;
        policy.redundancy = static_cast<std::uint32_t>(*count);
    } else if (words.size() == 5 && words[0] == "recovery" && words[1] == "window" && words[2] == "of") {
        const auto window = parse_interval(words[3] + " " + words[4]);
        if (!window || words[4].starts_with("hour")) return std::nullopt;
        policy.window = *window;
    } else {
        return std::nullopt;
    }
    for (const std::string& word : words) policy.text += (policy.text.empty() ? "" : " ") + word;
    for (char& c : policy.text) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return policy;
}

}  // namespace coffer::config
