// Finds and reads the files, and puts the servers together.
#include <algorithm>
#include <cstdlib>

#include "lib/base/error.h"
#include "lib/config/catalogue_version.h"
#include "lib/config/config.h"
#include "lib/config/ini_file.h"
#include "lib/config/keys.h"
#include "lib/config/resolve.h"
#include "lib/config/units.h"

namespace coffer::config {
namespace {

constexpr std::uint64_t largest_file = 1ULL << 20;

bool is_global(const IniSection& section) {
    return section.name == "coffer" || section.name == "barman";
}

// Barman's own files keep Barman's own places.
bool is_barmans(const Path& main_file) {
    return main_file.filename() == "barman.conf" || main_file.filename() == ".barman.conf";
}

std::string global_value(const IniSection& global, std::initializer_list<const char*> keys, std::string fallback) {
    for (const char* key : keys) {
        const IniEntry* entry = global.find(key);
        if (entry != nullptr && !entry->value.empty()) return entry->value;
    }
    return fallback;
}

class Loader {
  public:
    explicit Loader(const Path& main_file) { config_.main_file = main_file; }

    Config run() {
        auto text = read_file(config_.main_file, largest_file);
        if (!text) {
            throw Error(ErrorCode::invalid_configuration, "there is no configuration file", config_.main_file.string(),
                        "create it, or name another one with --config or COFFER_CONFIG");
        }
        main_ = parse_ini(*text, config_.main_file);
        read_global();
        add_file(main_, true);
        for (const Path& path : included_files()) add_included(path);
        refuse_shared_paths();
        for (auto& [name, server] : config_.servers) {
            if (auto problem = problem_of_catalogue(server)) server.problems.push_back(std::move(*problem));
            server.disabled = std::any_of(server.problems.begin(), server.problems.end(),
                                          [](const Problem& problem) { return problem.fatal; });
        }
        return std::move(config_);
    }

  private:
    void read_global() {
        bool found = false;
        for (const IniSection& section : main_.sections) {
            if (!is_global(section)) continue;
            if (found)
                warn(main_.path, section.line, "a second global section is added to the first", "keep one of them");
            found = true;
            global_.name = section.name;
            global_.entries.insert(global_.entries.end(), section.entries.begin(), section.entries.end());
        }
        for (Problem& problem : check_global(main_.path, global_)) config_.problems.push_back(std::move(problem));
        const bool barmans = is_barmans(config_.main_file);
        config_.coffer_home =
            global_value(global_, {"coffer_home", "barman_home"}, barmans ? "/var/lib/barman" : "/var/lib/coffer");
        config_.lock_directory =
            global_value(global_, {"coffer_lock_directory", "barman_lock_directory"}, config_.coffer_home.string());
        config_.log_level = global_value(global_, {"log_level"}, "INFO");
        const Path folder = std::filesystem::absolute(config_.main_file).parent_path();
        config_.configuration_files_directory =
            folder / global_value(global_, {"configuration_files_directory"}, barmans ? "/etc/barman.d" : "coffer.d");
    }

    std::vector<Path> included_files() {
        std::vector<Path> files;
        std::error_code error;
        for (std::filesystem::directory_iterator entry(config_.configuration_files_directory, error), end; entry != end;
             entry.increment(error)) {
            const Path& path = entry->path();
            if (path.extension() == ".conf" && path.filename().string().front() != '.') files.push_back(path);
            if (error) break;
        }
        if (error && (error != std::errc::no_such_file_or_directory || global_.find("configuration_files_directory"))) {
            warn(config_.configuration_files_directory, 0,
                 "the folder of server files cannot be read: " + error.message(),
                 "create it, or correct configuration_files_directory");
        }
        std::sort(files.begin(), files.end());
        return files;
    }

    void add_included(const Path& path) try {
        if (const auto text = read_file(path, largest_file)) add_file(parse_ini(*text, path), false);
    } catch (const Error& error) {
        warn(path, 0, error.fact(), error.remedy());
    }

    void add_file(const IniFile& file, bool main) {
        std::vector<std::string> added;
        for (const IniSection& section : file.sections) {
            if (is_global(section)) {
                if (main) continue;
                warn(file.path, section.line, "[" + section.name + "] is ignored in an included file",
                     "put these keys into " + config_.main_file.string());
            } else if (is_model(section)) {
                warn(file.path, section.line, "model '" + section.name + "' is skipped: models are not supported yet",
                     "give its values to the server itself");
            } else if (add_server(file, section)) {
                added.push_back(section.name);
            }
        }
        for (const std::string& name : added) {
            auto& problems = config_.servers.at(name).problems;
            problems.insert(problems.end(), file.problems.begin(), file.problems.end());
        }
        if (added.empty() || main) {
            config_.problems.insert(config_.problems.end(), file.problems.begin(), file.problems.end());
        }
    }

    static bool is_model(const IniSection& section) {
        const IniEntry* entry = section.find("model");
        return entry != nullptr && parse_boolean(entry->value).value_or(false);
    }

    bool add_server(const IniFile& file, const IniSection& section) {
        if (const std::string fault = fault_of_name(section.name); !fault.empty()) {
            warn(file.path, section.line, "[" + section.name + "] is skipped: " + fault, "choose another name");
            return false;
        }
        if (const auto first = config_.servers.find(section.name); first != config_.servers.end()) {
            warn(file.path, section.line,
                 "server '" + section.name + "' is defined again and this definition is ignored; the first one is in " +
                     first->second.defined_in.string(),
                 "remove one of the two sections");
            return false;
        }
        const Sources sources{file.path, section, main_.path, global_};
        config_.servers.emplace(section.name, resolve_server(sources, config_.coffer_home));
        order_.push_back(section.name);
        return true;
    }

    // The first server that names a directory keeps it.
    void refuse_shared_paths() {
        std::map<Path, std::string> owners;
        for (const std::string& name : order_) {
            Server& server = config_.servers.at(name);
            std::vector<Path> paths{server.backup_directory,         server.basebackups_directory,
                                    server.wals_directory,           server.incoming_wals_directory,
                                    server.streaming_wals_directory, server.errors_directory};
            for (const Path& path : paths) {
                const auto [owner, is_new] = owners.emplace(path, name);
                if (is_new) continue;
                server.problems.push_back(
                    {server.defined_in, 0,
                     owner->second == name ? "two directories of server '" + name + "' are the same: " + path.string()
                                           : "server '" + name + "' shares a directory with server '" + owner->second +
                                                 "': " + path.string(),
                     "give each its own directory", true});
            }
        }
    }

    void warn(const Path& file, int line, std::string text, std::string remedy) {
        config_.problems.push_back({file, line, std::move(text), std::move(remedy), false});
    }

    Config config_;
    IniFile main_;
    IniSection global_;
    std::vector<std::string> order_;  // servers as they were read
};

}  // namespace

Path find_config_file(const std::optional<Path>& given) {
    if (given) return *given;
    const auto environment = [](const char* name) { return std::getenv(name) == nullptr ? "" : std::getenv(name); };
    if (const Path path = environment("COFFER_CONFIG"); !path.empty()) return path;
    const Path own = "/etc/coffer/coffer.conf";
    std::error_code ignored;
    if (std::filesystem::exists(own, ignored)) return own;
    if (const Path path = environment("BARMAN_CONFIG_FILE"); !path.empty()) return path;
    std::vector<Path> barmans{"/etc/barman.conf", "/etc/barman/barman.conf"};
    if (const Path home = environment("HOME"); !home.empty()) barmans.insert(barmans.begin(), home / ".barman.conf");
    for (const Path& path : barmans) {
        if (std::filesystem::exists(path, ignored)) return path;
    }
    return own;
}

Config load(const Path& main_file) {
    return Loader(main_file).run();
}

}  // namespace coffer::config
