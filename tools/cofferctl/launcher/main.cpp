// cofferctl: does get-wal, and starts coffer-cli for everything else.
//
// A recovery calls get-wal once for each segment, and most of what such a call took was the loading of libraries that
// it never uses (libpq's for LDAP and Kerberos alone took longer than reading the segment). So this program has none of
// them.
#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "tools/cofferctl/get_wal.h"

namespace {

using namespace coffer;
using namespace coffer::cofferctl;

struct GetWalCall {
    int at = 0;  // position of "get-wal"; 0: it is another command
    std::optional<Path> config;
    bool json = false;
};

// Recognises "[global options] get-wal" without building the whole command line.
GetWalCall find_get_wal(int argc, char** argv) {
    GetWalCall call;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "get-wal") {
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

// Installed (…/bin/cofferctl, …/libexec/coffer/coffer-cli) or built (side by side).
int start_command_line(char** argv) {
    char self[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length > 0 && length < static_cast<ssize_t>(sizeof self)) {
        const Path folder = Path(std::string(self, static_cast<std::size_t>(length))).parent_path();
        for (const Path& program : {folder.parent_path() / "libexec/coffer/coffer-cli", folder / "coffer-cli"}) {
            ::execv(program.c_str(), argv);
            if (errno != ENOENT && errno != ENOTDIR) break;
        }
    }
    std::fprintf(stderr, "ERROR: cannot start coffer-cli (%s)\nHINT: reinstall Coffer\n", std::strerror(errno));
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const GetWalCall call = find_get_wal(argc, argv);
    if (call.at > 0) return get_wal(argc - call.at, argv + call.at, call.config, call.json);
    return start_command_line(argv);
}
