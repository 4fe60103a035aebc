//! Links a Rust static library into a MicroPython native module: `.mpy` version 6.3, which MicroPython reads
//! from 1.23 on.
//!
//! The module exports `extern "C" fn mpy_init` and uses of the runtime what is in `mp_fun_table`
//! (py/nativeglue.h): the table itself, the types and functions at its end under their C names, and the qstr `x`
//! as the `static MP_QSTR_x: u16`. What mpy_init does not reach is left out. The loader relocates whole words
//! only, so code must be position independent, or static where it loads every address from a word (ARM, Xtensa).

mod error;
mod image;
mod input;
mod isa;
mod layout;
mod live;
mod map;
mod mpy;
mod symbols;
mod table;

pub use crate::{
    error::{Error, Misfit, Site},
    input::Input,
    layout::Region,
    map::Entry,
    mpy::Sizes,
    table::{Architecture, Budget},
};

use crate::{image::Image, input::Object, layout::Layout, live::Live, symbols::Symbols};

/// A linked module.
pub struct Module {
    /// The content of the .mpy file.
    pub mpy: Vec<u8>,
    pub sizes: Sizes,
    /// Number of words the loader relocates.
    pub relocations: usize,
    /// Where the bytes went, the largest piece first.
    pub map: Vec<Entry>,
}

/// Links the objects and archives `inputs` into the module whose file is to be called `name`.
///
/// The same inputs give the same bytes. Of several definitions of a name a strong one beats a weak one, wherever
/// it stands.
///
/// # Errors
/// See [`Error`].
pub fn link(arch: &Architecture, name: &str, inputs: &[Input]) -> Result<Module, Error> {
    if name.is_empty() || name.len() > 255 {
        return Err(Error::Name(name.into()));
    }
    let objects = Object::read_all(inputs, arch)?;
    let symbols = Symbols::new(&objects);
    let live = Live::find(&objects, &symbols, arch.isa())?;
    let layout = Layout::new(arch, &objects, &live)?;
    let image = Image::new(arch, &objects, &live, &layout)?;
    let mpy = mpy::write(arch, name, &image);
    let sizes = Sizes::read(name, &mpy)?;
    Ok(Module {
        sizes,
        relocations: image.relocations.len(),
        map: map::map(&objects, &layout, arch.word),
        mpy,
    })
}
