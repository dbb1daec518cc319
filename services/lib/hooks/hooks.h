#pragma once
// The hook scripts around one thing that Coffer does, in Barman's order: pre script, pre retry script, (the action),
// post retry script, post script. docs/hooks.md says it for people.
//
// A plain script that fails is a warning. A retry script runs again (after 3 s, after each fifth failure after a
// minute) until it ends with 0, with 62 (give up, and go on) or with 63 (give up, and stop: the action does not take
// place; of a post script that means no more than 62). Everything it says goes to the log, line by line, with its key
// and server.
//
// Blocks the calling thread for as long as a script takes: for workers and jobs, never for an event loop. Each thread
// needs an object of its own.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/log.h"
#include "lib/config/config.h"
#include "lib/hooks/hook_process.h"

namespace coffer::hooks {

enum class Family { backup, archive, removal, wal_removal, recovery };

// What the scripts are told, without the prefixes BARMAN_ and COFFER_ that each is given with.
using Variables = std::vector<std::pair<std::string, std::string>>;

struct Rules {
    std::chrono::milliseconds short_pause{3000}, long_pause{60000};
    unsigned failures_before_long = 5;
    bool root_may = false;  // else scripts of a process that is root's run as user coffer
};

class Hooks {
  public:
    Hooks(const config::Server& server, Family family, Stop stop = {}, Rules rules = {});

    [[nodiscard]] bool any() const noexcept { return scripts_.any(); }
    // Throws refused when the retry script ended with 63, canceled when stop was asked for meanwhile.
    void before(const Variables& variables);
    // error: of the action; empty when it went well.
    void after(const Variables& variables, const std::string& error) noexcept;

  private:
    enum class Verdict { go_on, stop };
    void run_plain(const std::string& script, const char* phase, const Variables& variables, const std::string& error);
    Verdict run_until_done(const std::string& script, const char* phase, const Variables& variables,
                           const std::string& error);
    HookEnd run_once(const std::string& script, const char* phase, bool retry, const Variables& variables,
                     const std::string& error);
    [[nodiscard]] bool pause(std::chrono::milliseconds time) const;
    [[nodiscard]] std::string key(const char* phase, bool retry) const;
    void say(LogLevel level, const std::string& key, const std::string& text) const noexcept;

    const config::Server& server_;
    const std::string family_;
    const config::HookScripts& scripts_;
    const Stop stop_;
    const Rules rules_;
};

// Everything that a script finds in its environment: of ours only what it needs to find programs and files (no
// password, nothing of libpq's or systemd's), then the variables.
std::vector<std::string> environment_of(const config::Server& server, const std::optional<HookUser>& user,
                                        const Variables& variables);

}  // namespace coffer::hooks
