// The entry point, and for the windowed ABI the flushing of register windows and with it setjmp and longjmp.
// "Frame" below means a function's registers a0 to a15 and its stack; a0 to a3 of a frame are saved below the stack
// pointer of the function it has called, at -16; what else its call kept at the top of the frame itself, which is found from
// the stack pointer of its caller: a4 to a7 from -32 on, or a4 to a11 from -48 on.
    .text
    .align 4
    .global _start
_start:                             // the kernel has laid argc, argv and the environment on the stack
    movi a0, 0
    mov a3, a1
    addi a1, a1, -32
    movi a4, -16
    and a1, a1, a4
#if defined(__XTENSA_CALL0_ABI__)
    mov a2, a3
    call0 start
#else
    mov a6, a3
    call4 start

// void flush_windows(int depth): have all callers' registers on the stack. A user process may not write WINDOWSTART, but
// to call 16 deep takes each of up to 64 registers once, and who needs a register saves what was in it.
    .align 4
    .global flush_windows
    .type flush_windows, @function
flush_windows:
    entry a1, 16
    beqz a2, 1f
    addi a6, a2, -1
    call4 flush_windows
1:  retw

// jmp_buf, in words: a0 to a3 of the caller of setjmp; a4 to a11 of it, as far as its call kept them; the four words below
// its stack pointer, where its caller's a0 to a3 are and which alloca moves; the address to return to.
#define REGISTERS 0
#define FURTHER 16
#define SAVE_AREA 48
#define RETURN 64

// move what lies around the frame of the caller: from the stack to jmp_buf (a2), or back
    .macro copy4 from, offset, to, at
    l32i a4, \from, \offset
    l32i a5, \from, \offset + 4
    l32i a6, \from, \offset + 8
    l32i a7, \from, \offset + 12
    s32i a4, \to, \at
    s32i a5, \to, \at + 4
    s32i a6, \to, \at + 8
    s32i a7, \to, \at + 12
    .endm

// a8 = the caller's stack pointer, a9 = its top, a10 = the registers that its call (return address in a0) kept, in fours
    .macro frame sp
    mov a8, \sp
    addi a9, a8, -16
    l32i a9, a9, 4
    extui a10, a0, 30, 2
    .endm

    .align 4
    .global setjmp
    .type setjmp, @function
setjmp:
    entry a1, 16
    movi a6, 15
    call4 flush_windows
    s32i a0, a2, RETURN
    addi a3, a1, -16
    copy4 a3, 0, a2, REGISTERS
    l32i a8, a3, 4
    frame a8
    addi a8, a8, -16
    copy4 a8, 0, a2, SAVE_AREA
    addi a9, a9, -48
    blti a10, 3, 1f
    copy4 a9, 0, a2, FURTHER + 16
1:  blti a10, 2, 2f
    copy4 a9, 16, a2, FURTHER
2:  movi a2, 0
    retw

// With all windows flushed, to return is to load the registers of the frame that the stack and a0 say: so the saved ones
// are laid where longjmp's own caller has its.
    .align 4
    .global longjmp
    .type longjmp, @function
longjmp:
    entry a1, 16
    movi a6, 15
    call4 flush_windows
    l32i a0, a2, RETURN
    addi a8, a1, -16
    copy4 a2, REGISTERS, a8, 0
    l32i a8, a2, REGISTERS + 4
    addi a8, a8, -16
    copy4 a2, SAVE_AREA, a8, 0
    addi a8, a8, 16
    frame a8
    addi a9, a9, -48
    blti a10, 3, 1f
    copy4 a2, FURTHER + 16, a9, 0
1:  blti a10, 2, 2f
    copy4 a2, FURTHER, a9, 16
2:  movi a2, 1
    movnez a2, a3, a3
    retw
#endif
