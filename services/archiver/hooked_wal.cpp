#include "services/archiver/hooked_wal.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/hooks/hooks.h"
#include "lib/hooks/variables.h"

namespace coffer::archiver {
namespace {

// Each change of the index writes it: so many share one, and no more wait behind a script that hangs.
constexpr std::size_t removed_together = 64;

std::string error_of(const wal::StoreOutcome& outcome) {
    return outcome.error ? outcome.error->what() : outcome.reason;
}

bool is_archived(const wal::StoreOutcome& outcome) {
    return outcome.result == wal::StoreResult::stored || outcome.result == wal::StoreResult::duplicate;
}

wal::StoreOutcome store_between(wal::WalArchive& archive, const Path& source, const hooks::Stop& stop) {
    const std::string name = source.filename().string();
    hooks::Hooks scripts(archive.server(), hooks::Family::archive, stop);
    std::error_code ignored;
    if (!std::filesystem::exists(source, ignored)) return archive.store(source);
    scripts.before(hooks::of_wal(name, source));
    wal::StoreOutcome outcome = archive.store(source);
    const Path file = is_archived(outcome) ? archive.path_of(name) : outcome.moved_to.value_or(source);
    scripts.after(hooks::of_wal(name, file), error_of(outcome));
    return outcome;
}

}  // namespace

wal::StoreOutcome store_with_hooks(wal::WalArchive& archive, const Path& source, const hooks::Stop& stop) noexcept {
    try {
        return store_between(archive, source, stop);
    } catch (const Error& error) {
        wal::StoreOutcome outcome;
        outcome.name = source.filename().string();
        outcome.error =
            error.code() == ErrorCode::canceled ? Error(ErrorCode::busy, error.fact(), outcome.name) : error;
        return outcome;
    } catch (const std::exception& error) {
        wal::StoreOutcome outcome;
        outcome.name = source.filename().string();
        outcome.error = Error(ErrorCode::internal, error.what(), outcome.name);
        return outcome;
    }
}

std::size_t remove_with_hooks(wal::WalArchive& archive, const std::vector<std::string>& names,
                              const hooks::Stop& stop) {
    hooks::Hooks scripts(archive.server(), hooks::Family::wal_removal, stop);
    if (!scripts.any()) {
        archive.remove(names);
        return names.size();
    }
    std::size_t removed = 0;
    for (auto next = names.begin(); next != names.end() && !stop.asked();) {
        std::vector<std::string> allowed;
        std::vector<hooks::Variables> told;
        for (; next != names.end() && allowed.size() < removed_together && !stop.asked(); ++next) {
            hooks::Variables variables = hooks::of_wal(*next, archive.path_of(*next));
            try {
                scripts.before(variables);
            } catch (const Error& error) {
                log_warning("server {}: {} stays: {}", archive.server().name, *next, error.what());
                continue;
            }
            allowed.push_back(*next);
            told.push_back(std::move(variables));
        }
        archive.remove(allowed);
        removed += allowed.size();
        for (const hooks::Variables& variables : told) scripts.after(variables, {});
    }
    return removed;
}

}  // namespace coffer::archiver
