// The page and its Content-Security-Policy, whose paths come from CMake; without them both are empty.
    .section .rodata.lockstep_page, "a", %progbits
    .globl lockstep_page_html
lockstep_page_html:
#ifdef LOCKSTEP_PAGE_HTML
    .incbin LOCKSTEP_PAGE_HTML
#endif
    .globl lockstep_page_html_end
lockstep_page_html_end:
    .globl lockstep_page_policy
lockstep_page_policy:
#ifdef LOCKSTEP_PAGE_POLICY
    .incbin LOCKSTEP_PAGE_POLICY
#endif
    .globl lockstep_page_policy_end
lockstep_page_policy_end:
    .byte 0

    .section .note.GNU-stack, "", %progbits
