// cofferctl: the command line of Coffer, in Barman's words. Run "cofferctl --help".
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "lib/base/log.h"
#include "tools/cofferctl/arguments.h"
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

int run(const Invocation& invocation) {
    const bool colour = invocation.colour == "always" || (invocation.colour == "auto" && ::isatty(STDOUT_FILENO) == 1 &&
                                                          std::getenv("NO_COLOR") == nullptr);
    Output out(invocation.format, invocation.quiet, colour);
    set_log_level(invocation.debug ? LogLevel::debug : LogLevel::error);
    try {
        const config::Config config = config::load(config::find_config_file(invocation.config));
        Context context{config, out, invocation.quiet, invocation.debug};
        invocation.command->run(context, invocation.arguments);
    } catch (const Error& error) {
        out.error(error);
    } catch (const std::exception& error) {
        out.error("internal error: " + std::string(error.what()));
    }
    return out.finish();
}

}  // namespace

int main(int argc, char** argv) {
    const GetWalCall call = find_get_wal(argc, argv);
    if (call.at > 0) return get_wal(argc - call.at, argv + call.at, call.config, call.json);
    std::setlocale(LC_CTYPE, "C.UTF-8");
    int status = 0;
    try {
        const auto invocation = parse_command_line(argc, argv, status);
        return invocation ? run(*invocation) : status;
    } catch (const Error& error) {
        std::fprintf(stderr, "ERROR: %s\n", error.full_text().c_str());
        return 1;
    }
}
