// The command line of Coffer, in Barman's words: all of it but get-wal, which the launcher does itself. Run "cofferctl
// --help".
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>

#include "lib/base/log.h"
#include "tools/cofferctl/arguments.h"

namespace {

using namespace coffer;
using namespace coffer::cofferctl;

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

int main(int argc, char** argv) {
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
