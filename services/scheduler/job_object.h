#pragma once
// The interface org.pgcoffer.Job1.
#include <functional>

#include "lib/bus/bus_object.h"
#include "services/scheduler/job.h"

namespace coffer::scheduler {

inline constexpr char job_interface[] = "org.pgcoffer.Job1";
inline constexpr std::uint64_t list_finished_too = 1;  // flag of ListJobs

// invalid_argument unless 0: no flag has a meaning yet.
void refuse_flags(std::uint64_t flags);

// job must outlive the object; null when only the declaration is wanted.
void declare_job(bus::BusObject& object, const Job* job, std::function<void()> cancel);

}  // namespace coffer::scheduler
