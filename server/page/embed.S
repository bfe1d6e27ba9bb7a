// The page and its Content-Security-Policy. LOCKSTEP_PAGE_DIR is where CMake had them built; without
// it both are empty.
    .section .rodata.lockstep_page, "a", %progbits
    .globl lockstep_page_html
lockstep_page_html:
#ifdef LOCKSTEP_PAGE_DIR
    .incbin LOCKSTEP_PAGE_DIR "/index.html"
#endif
    .globl lockstep_page_html_end
lockstep_page_html_end:
    .globl lockstep_page_policy
lockstep_page_policy:
#ifdef LOCKSTEP_PAGE_DIR
    .incbin LOCKSTEP_PAGE_DIR "/policy.txt"
#endif
    .globl lockstep_page_policy_end
lockstep_page_policy_end:
    .byte 0

    .section .note.GNU-stack, "", %progbits
