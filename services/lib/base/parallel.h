#pragma once
// The same work on many things, in a few threads.
#include <cstddef>
#include <functional>

namespace coffer {

// As many as the machine has processors, at least two: one may wait for a disk.
unsigned default_jobs() noexcept;

// Runs work(index) for 0 .. count - 1 in so many threads, in the calling one where one is enough; the first exception
// stops the others and is thrown when all have ended.
void run_parallel(std::size_t count, unsigned jobs, const std::function<void(std::size_t)>& work);

// The same for work so small that each thread takes a batch of indices at a time; in default_jobs() threads.
void run_in_batches(std::size_t count, std::size_t batch, const std::function<void(std::size_t)>& work);

}  // namespace coffer
