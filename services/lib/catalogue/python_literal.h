#pragma once
// The few Python literals that Barman writes into backup.info: None, True, False, numbers, quoted strings, lists,
// tuples and dictionaries. Format: The Python Language Reference, "Literals"; only what repr() of such values produces.
// Pure functions. Foreign bytes: nesting is limited, nothing is evaluated.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coffer::catalogue {

struct PythonValue {
    struct None {};
    // Lists and tuples alike; a dictionary is the list of its (key, value) pairs.
    using Sequence = std::vector<PythonValue>;
    std::variant<None, bool, std::int64_t, double, std::string, Sequence> value;

    [[nodiscard]] const std::string* string() const noexcept { return std::get_if<std::string>(&value); }
    [[nodiscard]] const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&value); }
    [[nodiscard]] const Sequence* sequence() const noexcept { return std::get_if<Sequence>(&value); }
};

// nullopt unless the whole text is one literal.
std::optional<PythonValue> parse_python_literal(std::string_view text);
// As repr(): single quotes unless only double quotes save escaping; control characters escaped.
std::string python_string(std::string_view text);

}  // namespace coffer::catalogue
