#pragma once
// cofferctl ssh-serve SERVER --allow put,get,restore: the forced command of a database host's key in authorized_keys
// (sshd(8)). sshd gives what the client wanted in SSH_ORIGINAL_COMMAND; what the key may is done, all else is refused,
// in the client's sight and in the system's log.
#include <string>
#include <vector>

namespace coffer::cofferctl {

// PostgreSQL takes 1 to 125 of a restore_command for "there is no such file" and would end its recovery.
constexpr int ssh_refused = 126;

// argv[0] is the command. Fills the arguments of the call of cofferctl that is to be made; where it stays empty, the
// result is the exit status.
int ssh_serve(int argc, char** argv, std::vector<std::string>& call);

}  // namespace coffer::cofferctl
