// The files of /proc are text for people, which the kernel promises to keep; what is not there
// counts as 0, so that a scrape never fails for it.
#include "server/host/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// The number behind `key` and white space in a file of such lines; 0 if it is not there.
double ValueOf(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return 0;
}

// The 22nd field of /proc/self/stat. The second is the program's name in brackets, with anything
// in it.
double StartTicks() {
  std::ifstream in("/proc/self/stat");
  std::string text(std::istreambuf_iterator<char>(in), {});
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field.empty() ? 0 : std::stod(field);
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0, resident_pages = 0;
  if (statm >> total_pages >> resident_pages) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    stats.resident_bytes = resident_pages * page;
    stats.mapped_bytes = total_pages * page;
  }
  std::error_code error;
  for (fs::directory_iterator fd("/proc/self/fd", error), end; !error && fd != end;
       fd.increment(error)) {
    ++stats.open_fds;
  }
  stats.start_time_s =
      ValueOf("/proc/stat", "btime") + StartTicks() / static_cast<double>(sysconf(_SC_CLK_TCK));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_s = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  }
  return stats;
}

size_t ThrottledPeriods(const CgroupPaths& paths) {
  double periods = 0;
  for (const fs::path& folder : CgroupFolders(paths, "cpu")) {
    periods += ValueOf(folder / "cpu.stat", "nr_throttled");
  }
  return static_cast<size_t>(periods);
}

}  // namespace lockstep
