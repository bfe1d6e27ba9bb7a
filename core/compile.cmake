# How all code is compiled, by the project and by tests/aarch64, which is one of its own.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(THREADS_PREFER_PTHREAD_FLAG ON)

# The numeric contract allows no contraction and no reassociation; ISA flags belong to single files.
set(LOCKSTEP_COMPILE_OPTIONS -Wall -Wextra -Wpedantic -Wshadow -Werror -ffp-contract=off
                             -fno-fast-math)
