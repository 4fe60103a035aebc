// The entry point: the kernel has laid argc, argv and the environment on the stack.
    .text
    .global _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    mv a0, sp
    andi sp, sp, -16
    call start
