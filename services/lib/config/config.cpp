#include "lib/config/config.h"

#include "lib/base/error.h"

namespace coffer::config {
namespace {

constexpr std::string_view codec_names[] = {"none", "gzip", "bzip2", "xz", "zstd", "lz4"};

}  // namespace

std::string Problem::to_string() const {
    return file.string() + (line > 0 ? ":" + std::to_string(line) : "") + ": " + text;
}

std::string_view name_of(Codec codec) noexcept {
    return codec_names[static_cast<std::size_t>(codec)];
}

std::optional<Codec> codec_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::size(codec_names); ++i) {
        if (codec_names[i] == name) return static_cast<Codec>(i);
    }
    return std::nullopt;
}

const Server& Config::server(std::string_view name) const {
    const auto found = servers.find(std::string(name));
    if (found != servers.end()) return found->second;
    std::string known;
    for (const auto& [server_name, server] : servers) known += (known.empty() ? "" : ", ") + server_name;
    throw Error(ErrorCode::no_such_server, "unknown server '" + std::string(name) + "'", main_file.string(),
                known.empty()
                    ? "no server is configured: add a file for it to " + configuration_files_directory.string()
                    : "servers are: " + known);
}

}  // namespace coffer::config
