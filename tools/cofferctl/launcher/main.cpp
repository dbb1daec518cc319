// cofferctl (or barman, by a link of that name): does what only reads the catalogue, and becomes coffer-put-wal or
// coffer-cli for everything else.
//
// A recovery calls get-wal once for each segment, and most of what such a call took was the loading of libraries that
// it never uses (libpq's for LDAP and Kerberos alone took longer than reading the segment, or than listing a thousand
// backups). So this program has none of them.
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cofferctl/command_line.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/get_wal.h"
#include "tools/cofferctl/serve_wal.h"
#include "tools/cofferctl/ssh_serve.h"

namespace {

using namespace coffer;
using namespace coffer::cofferctl;

struct Call {
    int at = 0;  // position of the command; 0: to be found out by who knows them all
    std::optional<Path> config;
    bool json = false;
};

// Finds the command behind the global options without building the whole command line.
Call find_command(int argc, char** argv) {
    Call call;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (!word.starts_with('-')) {
            call.at = i;
            return call;
        }
        const bool has_next = i + 1 < argc;
        if (word == "-c" || word == "--config") {
            if (!has_next) return {};
            call.config = argv[++i];
        } else if (word.starts_with("--config=")) {
            call.config = word.substr(9);
        } else if (word == "-f" || word == "--format") {
            if (!has_next) return {};
            call.json = std::string_view(argv[++i]) == "json";
        } else if (word == "--color" || word == "--log-level") {
            ++i;
        } else if (word != "-q" && word != "--quiet" && word != "-d" && word != "--debug") {
            return {};
        }
    }
    return {};
}

bool only_reads(std::string_view name) {
    const auto& commands = reading_commands();
    return std::any_of(commands.begin(), commands.end(), [&](const Command& command) {
        const auto& aliases = command.aliases;
        return command.name == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end();
    });
}

// Installed (…/bin/cofferctl, …/libexec/coffer/coffer-cli) or built (side by side).
int become(const char* name, char* const* argv) {
    char self[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length > 0 && length < static_cast<ssize_t>(sizeof self)) {
        const Path folder = Path(std::string(self, static_cast<std::size_t>(length))).parent_path();
        for (const Path& program : {folder.parent_path() / "libexec/coffer" / name, folder / name}) {
            ::execv(program.c_str(), argv);
            if (errno != ENOENT && errno != ENOTDIR) break;
        }
    }
    std::fprintf(stderr, "ERROR: cannot start %s (%s)\nHINT: reinstall Coffer\n", name, std::strerror(errno));
    return 1;
}

int put_wal(const Call& call, int argc, char** argv) {
    std::string config = "--config", json = "--json";
    std::vector<char*> words{argv[0]};
    std::string file = call.config ? call.config->string() : "";
    if (call.config) words.insert(words.end(), {config.data(), file.data()});
    if (call.json) words.push_back(json.data());
    words.insert(words.end(), argv + call.at + 1, argv + argc);
    words.push_back(nullptr);
    return become("coffer-put-wal", words.data());
}

int run(int argc, char** argv);

// The call that a host may make by its key takes the place of this one.
int serve_ssh(const Call& call, int argc, char** argv) {
    std::vector<std::string> allowed;
    const int status = ssh_serve(argc - call.at, argv + call.at, allowed);
    if (allowed.empty()) return status;
    if (call.config) allowed.insert(allowed.begin(), {"--config", call.config->string()});
    std::vector<char*> words{argv[0]};
    for (std::string& word : allowed) words.push_back(word.data());
    const auto count = static_cast<int>(words.size());
    words.push_back(nullptr);
    return run(count, words.data());
}

int run(int argc, char** argv) {
    const Call call = find_command(argc, argv);
    const std::string_view command = call.at > 0 ? argv[call.at] : "";
    if (command == "get-wal") return get_wal(argc - call.at, argv + call.at, call.config, call.json);
    if (command == "serve-wal") return serve_wal(argc - call.at, argv + call.at, call.config);
    if (command == "put-wal") return put_wal(call, argc, argv);
    if (command == "ssh-serve") return serve_ssh(call, argc, argv);
    if (only_reads(command)) return run_command_line(argc, argv, reading_commands());
    return become("coffer-cli", argv);
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv);
}
