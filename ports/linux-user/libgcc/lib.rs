//! The functions of libgcc that compiler_builtins lacks.
#![no_std]

/// 32 x 32 bits to 64.
#[unsafe(no_mangle)]
pub extern "C" fn __umulsidi3(a: u32, b: u32) -> u64 {
    u64::from(a) * u64::from(b)
}

/// The number of bits that are set.
#[unsafe(no_mangle)]
pub extern "C" fn __popcountsi2(a: u32) -> u32 {
    a.count_ones()
}
