#pragma once
// What a backup should consist of, by its manifest or, without one, by what is there. Thread-safe.
#include <functional>
#include <string>
#include <vector>

#include "lib/verify/backup_files.h"
#include "lib/verify/file_content.h"

namespace coffer::verify {

struct FileList {
    std::vector<WantedFile> files;
    std::vector<Finding> findings;     // of the manifest itself
    std::vector<std::string> surplus;  // there, but not in the manifest
    std::vector<std::string> notes;    // what cannot be checked
};

// canceled: may be empty; throws canceled when it says so. Throws io; corrupt as for_each() does.
FileList list_files(const BackupFiles& files, const catalogue::BackupInfo& backup,
                    const std::function<bool()>& canceled);

}  // namespace coffer::verify
