#include <dlfcn.h>

#include <exception>
#include <thread>

#include "ostinato/layer.h"

namespace ostinato {
namespace {

// The entry that both GCC's and LLVM's OpenMP runtimes export. torch brings one of them and loads it for everyone.
using GompParallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
using ThreadNumber = int (*)();

struct Team {
  GompParallel run = reinterpret_cast<GompParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  ThreadNumber number = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  ThreadNumber size = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  bool usable() const { return run && number && size; }
};

const Team& team() {
  static const Team found;
  return found;
}

struct Job {
  const std::function<void(int)>* work;
  int num_threads;
};

// A team may turn out smaller than asked for (a limit, or a region inside a region): each member then takes several.
void run_member(void* argument) {
  const Job& job = *static_cast<const Job*>(argument);
  const int size = team().size();
  for (int i = team().number(); i < job.num_threads; i += size) (*job.work)(i);
}

}  // namespace

const char* parallel_kind() { return team().usable() ? "torch's OpenMP team" : "own threads"; }

void parallel(int num_threads, const std::function<void(int)>& work) {
  if (num_threads <= 1) return work(0);
  if (team().usable()) {
    Job job{&work, num_threads};
    return team().run(run_member, &job, static_cast<unsigned>(num_threads), 0);
  }
  std::vector<std::thread> others;
  for (int i = 1; i < num_threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
}

}  // namespace ostinato
