//! Raw bindings to what MicroPython offers a native module: the function table `mp_fun_table` (`py/nativeglue.h`),
//! the types reachable by symbol and the layout of the few objects a module may look into.
//!
//! The bindings are made by bindgen from MicroPython's own headers and checked in, one file for each word size, with
//! assertions on every layout; `generate` in this crate's directory makes and verifies them. Documentation of each item
//! is that of the C header. There is no logic here: see the crate `micropython` for the safe layer.
//!
//! The symbols are resolved when the module is linked: into a `.mpy` by the project's linker, into a firmware by C's.
//! The layouts are those of .mpy ABI 6.3, that is MicroPython 1.23 and later, with object representations A, B and C
//! (an object is one machine word).
#![no_std]
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    missing_docs
)]
#![allow(clippy::all, unsafe_op_in_unsafe_fn)]

/// `nlr_buf_t`: its size depends on the instruction set. Native modules cannot catch exceptions.
pub type nlr_buf_t = core::ffi::c_void;
/// `mp_code_state_native_t`: the frame of a native generator, never seen by a module.
pub type mp_code_state_native_t = core::ffi::c_void;

#[cfg(target_pointer_width = "32")]
include!("bindings32.rs");
#[cfg(target_pointer_width = "64")]
include!("bindings64.rs");
