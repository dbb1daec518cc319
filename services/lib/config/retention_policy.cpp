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

std::optional<RetentionTiers> RetentionTiers::parse(std::string_view text) {
    std::string spaced = to_lower(text);
    for (char& c : spaced) c = c == ',' ? ' ' : c;
    std::istringstream stream{spaced};
    RetentionTiers tiers;
    for (std::string number, unit; stream >> number;) {
        if (!(stream >> unit)) return std::nullopt;
        std::uint32_t* const tier = unit == "daily"     ? &tiers.daily
                                    : unit == "weekly"  ? &tiers.weekly
                                    : unit == "monthly" ? &tiers.monthly
                                    : unit == "yearly"  ? &tiers.yearly
                                                        : nullptr;
        const auto count = parse_number(number, 1, 1000000);
        if (tier == nullptr || *tier != 0 || !count) return std::nullopt;
        *tier = static_cast<std::uint32_t>(*count);
        for (char& c : unit) c = static_cast<char>(c - 'a' + 'A');
        tiers.text += (tiers.text.empty() ? "" : ", ") + std::to_string(*count) + " " + unit;
    }
    return tiers;
}

}  // namespace coffer::config
