#pragma once
// A command of cofferctl: its place on the command line as data, and the function that does it. One file for each; the
// list of all is in commands.cpp, and arguments.cpp alone knows the parser (CLI11).
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/config.h"
#include "tools/cofferctl/output.h"

namespace coffer::cofferctl {

struct OptionSpec {
    enum class Kind {
        flag,
        text,      // takes a value
        repeated,  // takes a value, may be given again
        ignored,   // Barman's, a flag without a meaning here that changes nothing
        refused_flag,
        refused_text,  // Barman's, not supported yet: refused when given
    };
    std::string_view names;  // "-w,--wait"
    Kind kind = Kind::flag;
    std::string_view help = {};
    // "wait" for "-w,--wait"; "wait_timeout" for "--wait-timeout".
    [[nodiscard]] std::string key() const;
};

class Arguments {
  public:
    std::vector<std::string> positionals;

    void add(const std::string& key, std::string value) { values_[key].push_back(std::move(value)); }
    [[nodiscard]] bool flag(const std::string& key) const { return values_.count(key) != 0; }
    [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
    [[nodiscard]] std::vector<std::string> all(const std::string& key) const;
    // Throws invalid_argument when it is no such number.
    [[nodiscard]] std::optional<std::uint64_t> number(const std::string& key, std::uint64_t highest) const;

  private:
    std::map<std::string, std::vector<std::string>> values_;
};

struct Context {
    const config::Config& config;
    Output& out;
    bool quiet = false;
    bool debug = false;
};

struct Command {
    std::string_view name;
    std::vector<std::string_view> aliases;
    std::string_view description;
    std::string_view positionals;  // "SERVER...", for help
    std::size_t fewest = 0;        // of them
    std::size_t most = 0;          // 0: any number
    std::vector<OptionSpec> options;
    // Errors that concern the command as a whole may be thrown; those of one server go to context.out.
    void (*run)(Context& context, const Arguments& arguments);
};

// Which servers a command serves.
enum class Only {
    any,       // also inactive and disabled ones: looking is always allowed
    readable,  // not the disabled: what is there may be read; throws where this user may not, warns where WAL is gone
    active,    // neither inactive nor disabled: touches PostgreSQL or the archive
};
// Calls work for each of the named servers ("all" for all); an unknown or unfit one and whatever work throws becomes an
// error of its own.
void for_each_server(Context& context, const std::vector<std::string>& names, Only only,
                     const std::function<void(const config::Server&)>& work);
// An error of std::filesystem in our words.
Error error_of(const std::filesystem::filesystem_error& error);
// A problem of the configuration with its remedy on a second line.
std::string full_text(const config::Problem& problem);
// Warns of each problem of these servers' configuration, and of the configuration as a whole, for which wanted is true:
// once, though several servers may have it from the same file.
void tell_problems(Context& context, const std::vector<const config::Server*>& servers,
                   const std::function<bool(const config::Problem& problem, bool of_server)>& wanted);
// For who has not configured any yet, or another file than is read.
void warn_of_no_server(Context& context);
// The one server; throws for one that is unknown or unfit.
const config::Server& one_server(const Context& context, const std::string& name, Only only);

}  // namespace coffer::cofferctl
