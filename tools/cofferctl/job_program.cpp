#include "tools/cofferctl/job_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/error.h"
#include "lib/base/files.h"

namespace coffer::cofferctl {
namespace {

// The program lies in libexec, or beside this one in a build tree.
Path find_job_program() {
    std::vector<Path> places;
    if (const char* libexec = std::getenv("COFFER_LIBEXEC")) places.emplace_back(libexec);
    std::error_code error;
    const Path self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) {
        places.push_back(self.parent_path().parent_path() / "libexec/coffer");
        places.push_back(self.parent_path());
    }
    for (const Path& place : places) {
        if (::access((place / "coffer-job").c_str(), X_OK) == 0) return place / "coffer-job";
    }
    throw Error(ErrorCode::internal, "the program coffer-job is missing", places.empty() ? "" : places.back().string(),
                "reinstall Coffer, or set COFFER_LIBEXEC to the directory that holds it");
}

}  // namespace

void become_job(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), find_job_program().string());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(pointers[0], pointers.data());
    throw Error::from_errno(errno, "cannot start", arguments[0]);
}

}  // namespace coffer::cofferctl
