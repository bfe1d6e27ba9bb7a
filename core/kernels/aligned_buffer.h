// A zeroed array of plain values, aligned to 64 bytes; from 2 MiB on in pages of its own, huge ones
// where the system grants them, that take no memory before they are touched. Movable, not copyable.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace lockstep {

template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size) : size_(size) {
    if (size > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
    if (bytes >= kHugePage) {
      data_ = Map(bytes);
    } else if (bytes > 0) {
      T* p = static_cast<T*>(std::aligned_alloc(64, bytes));
      if (p == nullptr) throw std::bad_alloc();
      std::memset(p, 0, bytes);
      data_.reset(p);
    }
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;  // of x86-64, and of AArch64's 4 KiB pages

  struct Free {
    void* mapping = nullptr;  // null: the array is the C library's
    size_t mapped = 0;        // bytes
    void operator()(T* p) const {
      if (mapping != nullptr) {
        munmap(mapping, mapped);
      } else {
        std::free(p);
      }
    }
  };
  using Owner = std::unique_ptr<T, Free>;

  // With room to begin where a huge page can; what is left over is address space only.
  static Owner Map(size_t bytes) {
    const size_t mapped = bytes + kHugePage;
    void* mapping =
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    char* begin = static_cast<char*>(mapping) + -reinterpret_cast<uintptr_t>(mapping) % kHugePage;
    madvise(begin, bytes, MADV_HUGEPAGE);
    return Owner(reinterpret_cast<T*>(begin), Free{mapping, mapped});
  }

  Owner data_;
  size_t size_ = 0;
};

}  // namespace lockstep
