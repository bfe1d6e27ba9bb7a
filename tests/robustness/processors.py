"""Older processors, in qemu's emulation of one process: what has no AVX2 is served by plain code."""
import os
import shutil
import subprocess

from server import Server, Skipped, expect
from traffic import essence, generation

# With the instruction set that lockstep must find there. The first three have no AVX or no AVX2, and
# so does half of what virtual machines offer. Of the others qemu 7.2 computes other bits than the
# processors: with denormals off, its VCVTPH2PS takes those of float16 for zero. So these answer a
# second time, by plain code.
PROCESSORS = {"Nehalem": "scalar", "Westmere": "scalar", "SandyBridge": "scalar",
              "Haswell": "avx2", "Skylake-Server": "avx2"}


def processors(test):
    """Each starts, finds what the processor has, and answers, by plain code with the same bytes."""
    qemu = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if os.uname().machine != "x86_64":
        raise Skipped("these are x86 processors")
    if not qemu:
        raise Skipped("qemu is not installed (Debian: qemu-user)")
    body = generation("Once upon a time", 6, logprobs=1)
    with Server(test.binary) as server:
        native = essence(server.generate(body))
    for cpu, isa in PROCESSORS.items():
        emulated = (qemu, "-cpu", cpu, test.binary)
        version = subprocess.run([*emulated, "--version"], capture_output=True, text=True, timeout=60)
        expect(version.returncode == 0 and version.stdout.startswith("lockstep "),
               f"--version on {cpu}: exit code {version.returncode}, {version.stderr[-300:]}")
        for chosen in dict.fromkeys((isa, "scalar")):
            flags = ("--threads", 1, "--isa", "auto" if chosen == isa else chosen)
            with Server(*emulated, *flags, seconds=60) as server:
                seen = essence(server.generate(body, timeout=120))
                expect(f'isa="{chosen}"' in server.log_text(),
                       f"{cpu}: not {chosen}: {server.log_text()}")
                same = seen == native if chosen == "scalar" else len(seen["tokens"]) == 6
                expect(same, f"{cpu}, {chosen}: {seen}, expected {native}")
                server.terminate()
                expect((code := server.exit_code(30)) == 0, f"{cpu}: exit code {code} after SIGTERM")
    return f"{', '.join(PROCESSORS)}: each starts, serves and ends"
