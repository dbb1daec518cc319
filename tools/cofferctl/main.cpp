// The command line of Coffer, in Barman's words: all of it but what the launcher does itself. Run "cofferctl --help".
#include "tools/cofferctl/command_line.h"
#include "tools/cofferctl/commands.h"

int main(int argc, char** argv) {
    return coffer::cofferctl::run_command_line(argc, argv, coffer::cofferctl::all_commands());
}
