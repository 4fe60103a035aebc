//! Access to the runtime's function table.

/// Calls a function of the table: `table!(new_dict(0))`.
///
/// The caller states in a SAFETY comment why the arguments are what the function wants.
macro_rules! table {
    ($function:ident($($argument:expr),* $(,)?)) => {
        ($crate::table::mp_fun_table.$function.unwrap_unchecked())($($argument),*)
    };
}
pub(crate) use table;

#[cfg(test)]
pub(crate) use crate::mock::mp_fun_table;
#[cfg(not(test))]
pub(crate) use micropython_sys::mp_fun_table;
