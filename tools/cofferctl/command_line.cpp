#include "tools/cofferctl/command_line.h"

#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>

#include "lib/base/log.h"
#include "tools/cofferctl/arguments.h"

namespace coffer::cofferctl {
namespace {

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
    } catch (const std::filesystem::filesystem_error& error) {
        out.error(error_of(error));
    } catch (const std::exception& error) {
        out.error("internal error: " + std::string(error.what()));
    }
    return out.finish();
}

}  // namespace

int run_command_line(int argc, char** argv, const std::vector<Command>& commands) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    int status = 0;
    try {
        const auto invocation = parse_command_line(argc, argv, commands, status);
        return invocation ? run(*invocation) : status;
    } catch (const Error& error) {
        std::fprintf(stderr, "ERROR: %s\n", error.full_text().c_str());
        return 1;
    }
}

}  // namespace coffer::cofferctl
