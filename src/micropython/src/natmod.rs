//! What a module without a C library must bring along: the functions the compiler calls on its own.

use crate::table::table;
use core::ffi::{c_int, c_void};

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller keeps the contract of C.
    unsafe { table!(memmove_(to, from, n)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // SAFETY: the caller keeps the contract of C.
    unsafe { table!(memmove_(to, from, n)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, n: usize) -> *mut c_void {
    // SAFETY: the caller keeps the contract of C.
    unsafe { table!(memset_(to, byte, n)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    for i in 0..n {
        // SAFETY: the caller keeps the contract of C.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the caller keeps the contract of C.
    unsafe { memcmp(a, b, n) }
}

/// LLVM makes a trap a call of `abort` on Xtensa.
#[cfg(target_arch = "xtensa")]
#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    crate::Exception::Runtime(c"internal error: please report it").raise()
}

/// ARM's names for the same functions. The compiler's own versions would be copied in otherwise.
#[cfg(target_arch = "arm")]
mod aeabi {
    use super::*;

    macro_rules! forward {
        ($($copy:ident)* ; $($set:ident)* ; $($clear:ident)*) => {
            $(
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $copy(to: *mut c_void, from: *const c_void, n: usize) {
                    // SAFETY: the caller keeps the contract of the ABI.
                    unsafe { table!(memmove_(to, from, n)) };
                }
            )*
            $(
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $set(to: *mut c_void, n: usize, byte: c_int) {
                    // SAFETY: the caller keeps the contract of the ABI.
                    unsafe { table!(memset_(to, byte, n)) };
                }
            )*
            $(
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $clear(to: *mut c_void, n: usize) {
                    // SAFETY: the caller keeps the contract of the ABI.
                    unsafe { table!(memset_(to, 0, n)) };
                }
            )*
        };
    }
    forward! {
        __aeabi_memcpy __aeabi_memcpy4 __aeabi_memcpy8 __aeabi_memmove __aeabi_memmove4 __aeabi_memmove8;
        __aeabi_memset __aeabi_memset4 __aeabi_memset8;
        __aeabi_memclr __aeabi_memclr4 __aeabi_memclr8
    }
}
