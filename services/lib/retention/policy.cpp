#include "lib/retention/policy.h"

namespace coffer::retention {

Policy policy_of(const config::Server& server) {
    Policy policy;
    policy.main = config::RetentionPolicy::parse(server.retention_policy);
    policy.minimum_redundancy = server.minimum_redundancy;
    policy.wal_window = server.wal_retention_window;
    policy.tiers = server.retention_tiers;
    return policy;
}

}  // namespace coffer::retention
