// The default model's file, byte for byte. LOCKSTEP_EMBEDDED_MODEL is its path, from CMake.
    .section .rodata.lockstep_embedded_model, "a", %progbits
    .balign 64
    .globl lockstep_embedded_model
    .type lockstep_embedded_model, %object
lockstep_embedded_model:
    .incbin LOCKSTEP_EMBEDDED_MODEL
    .globl lockstep_embedded_model_end
lockstep_embedded_model_end:
    .size lockstep_embedded_model, . - lockstep_embedded_model
    .byte 0

    .section .note.GNU-stack, "", %progbits
