// An open file's number, closed with it. For one thread at a time.
#pragma once

#include <unistd.h>

namespace lockstep {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}  // below 0: it could not be opened
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  bool ok() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  const int number_;
};

}  // namespace lockstep
