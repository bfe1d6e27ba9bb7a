// Files that are served as they are, byte for byte. Their paths come from CMake.
    .section .rodata.lockstep_embedded_files, "a", %progbits
    .globl lockstep_openapi
    .type lockstep_openapi, %object
lockstep_openapi:
    .incbin LOCKSTEP_OPENAPI
    .globl lockstep_openapi_end
lockstep_openapi_end:
    .size lockstep_openapi, . - lockstep_openapi
    .byte 0

    .section .note.GNU-stack, "", %progbits
