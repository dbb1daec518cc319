#pragma once
// What libpq says, as one line. It tries some connections twice, with and without TLS, and then tells twice why it was
// refused; what was said already is left out. A semicolon stands between lines.
#include <string>
#include <string_view>

namespace coffer::pg {

std::string one_line(std::string_view text);

}  // namespace coffer::pg
