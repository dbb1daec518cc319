#include "lib/config/catalogue_version.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace coffer::config {
namespace {

constexpr std::uint64_t largest_mark = 65536;

}  // namespace

Path catalogue_mark(const Server& server) {
    return server.meta_directory() / "coffer-catalogue.json";
}

std::optional<Problem> problem_of_catalogue(const Server& server) {
    const Path file = catalogue_mark(server);
    std::optional<std::string> text;
    try {
        text = read_file(file, largest_mark);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::permission_denied) return std::nullopt;
        return Problem{file, 0, error.fact(), "see what is wrong with its disk", false};
    }
    if (!text) return std::nullopt;
    const nlohmann::json mark = nlohmann::json::parse(*text, nullptr, false);
    const auto version = mark.is_object() ? mark.find("version") : mark.end();
    if (!mark.is_object() || version == mark.end() || !version->is_number_unsigned()) {
        return Problem{file, 0, "the file does not say which version the catalogue of server '" + server.name + "' has",
                       "remove it: it is made anew", false};
    }
    const auto found = version->get<std::uint64_t>();
    if (found <= known_catalogue_version) return std::nullopt;
    return Problem{file, 0,
                   fmt::format("the catalogue of server '{}' has version {}, this program (Coffer {}) knows version {}",
                               server.name, found, COFFER_VERSION, known_catalogue_version),
                   "upgrade Coffer on this box to the version that wrote it, or a newer one", true};
}

void require_known_catalogue(const Server& server) {
    const auto problem = problem_of_catalogue(server);
    if (problem && problem->fatal)
        throw Error(ErrorCode::not_supported, problem->text, problem->file.string(), problem->remedy);
}

}  // namespace coffer::config
