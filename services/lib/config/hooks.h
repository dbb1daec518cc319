#pragma once
// The scripts that run before and after what Coffer does (docs/hooks.md): Barman's twenty keys, as they are written.
// Each is a command of the shell; empty: none. lib/hooks runs them.
#include <chrono>
#include <string>

namespace coffer::config {

// In the order in which they run: pre, pre_retry, (the action), post_retry, post.
struct HookScripts {
    std::string pre, pre_retry, post, post_retry;
    [[nodiscard]] bool any() const noexcept {
        return !pre.empty() || !pre_retry.empty() || !post.empty() || !post_retry.empty();
    }
};

struct Hooks {
    HookScripts backup, archive, removal, wal_removal, recovery;  // removal: the keys say "delete"
    std::chrono::seconds timeout{3600};                           // own key; of each run, 0: no limit
};

}  // namespace coffer::config
