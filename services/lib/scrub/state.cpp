#include "lib/scrub/state.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/files.h"
#include "lib/base/log.h"

namespace coffer::scrub {
namespace {

using nlohmann::json;

constexpr int version = 1;

Path file_of(const config::Server& server) {
    return server.meta_directory() / "coffer-scrub.json";
}

std::int64_t number_of(WallTime time) {
    return time.time_since_epoch().count();
}
WallTime time_of(const json& number) {
    return WallTime(std::chrono::microseconds(number.get<std::int64_t>()));
}

std::optional<WallTime> maybe_time(const json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? std::nullopt : std::optional(time_of(*found));
}

State state_of(const json& object) {
    State state;
    state.saved_at = time_of(object.at("saved_at"));
    state.oldest_wal = maybe_time(object, "oldest_wal");
    state.all_begun = maybe_time(object, "all_begun");
    for (const auto& [name, each] : object.at("wal").items()) {
        FolderProof proof;
        proof.at = maybe_time(each, "at");
        proof.cursor = each.value("cursor", "");
        if (!proof.cursor.empty()) proof.cursor_at = time_of(each.at("cursor_at"));
        state.folders.emplace(name, std::move(proof));
    }
    for (const auto& [backup, each] : object.at("images").items())
        state.images.emplace(backup, ImagePass{time_of(each.at("begun")), each.at("cursor").get<std::string>()});
    for (const json& each : object.at("wal_damage")) {
        state.wal_damage.push_back({each.at("name").get<std::string>(), each.at("what").get<std::string>(),
                                    time_of(each.at("found_at")), each.at("set_aside").get<std::string>()});
    }
    return state;
}

json json_of(const State& state) {
    json object{{"version", version},
                {"saved_at", number_of(state.saved_at)},
                {"wal", json::object()},
                {"images", json::object()},
                {"wal_damage", json::array()}};
    if (state.oldest_wal) object["oldest_wal"] = number_of(*state.oldest_wal);
    if (state.all_begun) object["all_begun"] = number_of(*state.all_begun);
    for (const auto& [name, proof] : state.folders) {
        json& each = object["wal"][name] = json::object();
        if (proof.at) each["at"] = number_of(*proof.at);
        if (!proof.cursor.empty()) each.update({{"cursor", proof.cursor}, {"cursor_at", number_of(proof.cursor_at)}});
    }
    for (const auto& [backup, pass] : state.images)
        object["images"][backup] = {{"begun", number_of(pass.begun)}, {"cursor", pass.cursor}};
    for (const WalDamage& each : state.wal_damage) {
        object["wal_damage"].push_back({{"name", each.name},
                                        {"what", each.what},
                                        {"found_at", number_of(each.found_at)},
                                        {"set_aside", each.set_aside}});
    }
    return object;
}

}  // namespace

State read_state(const config::Server& server) {
    const Path path = file_of(server);
    const auto text = read_file(path);
    if (!text) return {};
    const json object = json::parse(*text, nullptr, false);
    try {
        if (object.is_object() && object.at("version") == version) return state_of(object);
    } catch (const json::exception&) {  // told below
    }
    log_warning("how far the scrub was cannot be read, so it begins anew: {}", path.string());
    return {};
}

void save_state(const config::Server& server, State& state, WallTime now) {
    state.saved_at = now;
    write_file_durably(file_of(server), json_of(state).dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

std::optional<WallTime> proof_of(const FolderProof& folder, const std::string& name, WallTime changed) {
    if (!folder.cursor.empty() && name <= folder.cursor && changed < folder.cursor_at) return folder.cursor_at;
    if (folder.at && changed < *folder.at) return folder.at;
    return std::nullopt;
}

}  // namespace coffer::scrub
