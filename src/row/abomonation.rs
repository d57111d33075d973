//! The codec `abomonation`: memory images of rows, for the few types on which it can be made sound (`doc/adr/0003-abomonation.md`).
//! No other module has `unsafe` for rows, and no other type gets in: the marker trait is sealed.
//!
//! # Why the `unsafe` here is sound
//! An image is the bytes of the value itself, followed by what it owns; `Abomonation::exhume` points the value at what follows it.
//! Six things could go wrong.
//! 1. *Padding is read when a value is written.* Admitted types have none: integers, and `Vec` and `String` of exactly three words
//!    (asserted at compile time).
//! 2. *A value is read at a wrong alignment.* A block is copied into a buffer of `u64`s, each image begins at a multiple of its
//!    type's alignment, and what an image owns follows where it is aligned: integers no wider than a word follow headers of three
//!    words; strings are bytes and come last. (Hence no vectors of vectors, no tuples, no 128-bit integers.)
//! 3. *The bytes are an invalid value.* Every bit pattern is an integer. The headers of vectors and strings are checked word by word
//!    before a reference to them exists: the address the one that is written for all (not null, aligned), the capacity equal to the
//!    length, the contents within the image, strings UTF-8.
//! 4. *Another compiler orders the three words differently, or the rows are of another type.* The block's head has the order as found
//!    by looking at a live value, word size, endianness, and the schema's fingerprint; a block with another head is refused.
//! 5. *Bytes were changed.* Head and images are under an XXH3-64, checked first. What passes it by accident or malice still meets 3.
//! 6. *A value in the buffer is dropped*, which would free memory that is none. Rows are only looked at through a shared reference and
//!    cloned; the buffer is a `Vec<u64>` and drops no rows.
//!
//! What remains is a contract of the library, not of the language: `exhume` makes a `Vec` from memory that the allocator never
//! gave out. Nothing grows, shrinks or drops it.
#![expect(unsafe_code, reason = "see the module's argument; off unless the feature is on")]

use super::codec::Codec;
use super::{Row, Schema};
use crate::error::{Error, Result};
use abomonation::Abomonation;
use std::mem::{align_of, size_of};

/// A row type that may be stored as its memory image: `u8` to `u64`, `i8` to `i64`, `String`, and vectors of them. Sealed.
pub trait Admitted: Row + Abomonation + image::Image {}

/// The codec of memory images. A block is read only by a program whose compiler lays vectors out as the writer's did; else it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Abomonated;

const WORD: usize = size_of::<usize>();
const HEAD: usize = 40;

impl<R: Admitted> Codec<R> for Abomonated {
    const NAME: &'static str = "abomonation-1";

    fn encode(rows: &[R], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&head(&R::schema(), rows.len()));
        for row in rows {
            let at = (out.len() - start).next_multiple_of(align_of::<R>());
            out.resize(start + at, 0);
            // SAFETY: the type has no padding (1).
            unsafe { abomonation::encode(row, out) }.expect("a vector takes all bytes");
            // Addresses and capacities of this run are replaced, so that equal rows have equal bytes.
            R::walk(&mut out[start + at..], &mut |header| {
                header.address = WORD;
                header.capacity = header.length;
                true
            })
            .expect("an image just written is whole");
        }
        let sum = checksum(&out[start..]);
        out[start + 32..start + HEAD].copy_from_slice(&sum.to_le_bytes());
    }

    fn decode(block: &[u8]) -> Result<Vec<R>> {
        let corrupt = |what: &str| {
            Error::corrupt(format!("stored block of rows {}: {what}", R::schema().name()))
        };
        let Some(found) = block.get(..HEAD) else {
            return Err(corrupt("it is shorter than its head"));
        };
        if checksum(block).to_le_bytes() != found[32..] {
            return Err(corrupt("its checksum does not fit its bytes"));
        }
        let count = usize::from_le_bytes(found[24..32].try_into().expect("eight bytes"));
        if found[..24] != head(&R::schema(), count)[..24] {
            return Err(Error::config(format!(
                "stored block of rows {} was written on another machine, by another compiler or for another type; codec \
                 {} cannot read it: restore with the program that wrote it, or from the log",
                R::schema().name(),
                <Abomonated as Codec<R>>::NAME
            )));
        }
        read(block, count).ok_or_else(|| corrupt("a row is not the image of one"))
    }
}

/// The rows of a block whose head has been checked.
fn read<R: Admitted>(block: &[u8], count: usize) -> Option<Vec<R>> {
    let mut words = vec![0_u64; block.len().div_ceil(8)];
    // SAFETY: the words are as many bytes, all initialised, and bytes need no alignment.
    let buffer =
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), words.len() * 8) };
    buffer[..block.len()].copy_from_slice(block);
    let mut rest = &mut buffer[HEAD..block.len()];
    let (mut at, mut rows) = (HEAD, Vec::with_capacity(count.min(block.len())));
    for _ in 0..count {
        let padding = at.next_multiple_of(align_of::<R>()) - at;
        let (zeros, start) = rest.split_at_mut_checked(padding)?;
        rest = start;
        let size =
            R::walk(rest, &mut |header| header.address == WORD && header.capacity == header.length)
                .filter(|_| zeros.iter().all(|byte| *byte == 0))?;
        let (image, next) = rest.split_at_mut_checked(size)?;
        let (value, owned) = image.split_at_mut_checked(size_of::<R>())?;
        // SAFETY: `value` has the size of `R`, is aligned for it (2), and is a valid value (3); it borrows the buffer mutably,
        // apart from `owned`. `abomonation::decode` is not used: it takes the reference from a borrow of one byte.
        let row = unsafe {
            let row = &mut *value.as_mut_ptr().cast::<R>();
            row.exhume(owned)?;
            &*row
        };
        // The row is never dropped (6).
        rows.push(row.clone());
        (rest, at) = (next, at + padding + size);
    }
    rest.is_empty().then_some(rows)
}

/// The first 40 bytes of a block, the last 8 of them for the checksum.
fn head(schema: &Schema, count: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(b"abm1");
    head[4] = WORD as u8;
    head[5] = 1_u16.to_ne_bytes()[0];
    head[8..16].copy_from_slice(&image::layouts());
    head[16..24].copy_from_slice(&schema.fingerprint().to_le_bytes());
    head[24..32].copy_from_slice(&(count as u64).to_le_bytes());
    head
}

/// XXH3-64 over all of a block but the checksum's own place.
fn checksum(block: &[u8]) -> u64 {
    crate::hash::chain(crate::hash::chain(0, &block[..32]), &block[HEAD..])
}

/// Images of values, looked at as bytes.
mod image {
    use super::WORD;
    use std::mem::size_of;

    /// The three words of a vector or string.
    pub struct Header {
        pub(super) address: usize,
        pub(super) capacity: usize,
        pub(super) length: usize,
    }

    const BYTES: usize = 3 * WORD;

    /// Which word is which.
    #[derive(Clone, Copy)]
    pub(super) struct Layout {
        address: usize,
        capacity: usize,
        length: usize,
    }

    /// A type whose images can be walked. Not to be named outside.
    pub trait Image: Sized {
        /// The size of the image at the front of `bytes`, with what it owns; `None` if it is not whole, its text not UTF-8, or `visit`
        /// refuses a header. What `visit` changes is written back.
        fn walk(bytes: &mut [u8], visit: &mut dyn FnMut(&mut Header) -> bool) -> Option<usize>;
    }

    /// Which word of `value`, a vector or string that is not empty and has room to spare, is which.
    fn layout<T>(value: &T, address: usize, capacity: usize, length: usize) -> Layout {
        const { assert!(size_of::<T>() == BYTES) };
        // SAFETY: the value is as many bytes without padding, and a word may be read from anywhere in it.
        let words = unsafe { std::ptr::from_ref(value).cast::<[usize; 3]>().read_unaligned() };
        let find =
            |word| words.iter().position(|w| *w == word).expect("a vector is these three words");
        Layout { address: find(address), capacity: find(capacity), length: find(length) }
    }

    fn of_vec<T: Clone>(item: T) -> Layout {
        let mut value = Vec::with_capacity(21);
        value.resize(3, item);
        layout(&value, value.as_ptr() as usize, value.capacity(), value.len())
    }

    fn of_string() -> Layout {
        let mut value = String::with_capacity(21);
        value.push_str("abc");
        layout(&value, value.as_ptr() as usize, value.capacity(), value.len())
    }

    /// The order of words in each kind of header, two bits a word.
    pub(super) fn layouts() -> [u8; 8] {
        let byte = |it: Layout| (it.address | it.capacity << 2 | it.length << 4) as u8;
        let vectors =
            [of_vec(0_u8), of_vec(0_u16), of_vec(0_u32), of_vec(0_u64), of_vec(String::new())];
        let mut all = [0; 8];
        all[0] = byte(of_string());
        all[1..6].copy_from_slice(&vectors.map(byte));
        all
    }

    /// Visits the header at the front of `bytes` and gives the length.
    fn header(
        bytes: &mut [u8],
        layout: Layout,
        visit: &mut dyn FnMut(&mut Header) -> bool,
    ) -> Option<usize> {
        let bytes = bytes.get_mut(..BYTES)?;
        let word = |i: usize| {
            let bytes = &bytes[i * WORD..(i + 1) * WORD];
            usize::from_ne_bytes(bytes.try_into().expect("as many bytes as a word has"))
        };
        let mut header = Header {
            address: word(layout.address),
            capacity: word(layout.capacity),
            length: word(layout.length),
        };
        let fits = visit(&mut header);
        for (i, word) in [
            (layout.address, header.address),
            (layout.capacity, header.capacity),
            (layout.length, header.length),
        ] {
            bytes[i * WORD..(i + 1) * WORD].copy_from_slice(&word.to_ne_bytes());
        }
        fits.then_some(header.length)
    }

    macro_rules! integers {
        ($($int:ident)*) => {$(
            impl Image for $int {
                fn walk(bytes: &mut [u8], _: &mut dyn FnMut(&mut Header) -> bool) -> Option<usize> {
                    (bytes.len() >= size_of::<$int>()).then_some(size_of::<$int>())
                }
            }

            impl super::Admitted for $int {}

            impl Image for Vec<$int> {
                fn walk(bytes: &mut [u8], visit: &mut dyn FnMut(&mut Header) -> bool) -> Option<usize> {
                    let length = header(bytes, of_vec::<$int>(0), visit)?;
                    let size = length.checked_mul(size_of::<$int>())?.checked_add(BYTES)?;
                    (size <= bytes.len()).then_some(size)
                }
            }

            impl super::Admitted for Vec<$int> {}
        )*};
    }

    integers! { u8 u16 u32 u64 i8 i16 i32 i64 }

    impl Image for String {
        fn walk(bytes: &mut [u8], visit: &mut dyn FnMut(&mut Header) -> bool) -> Option<usize> {
            let size = header(bytes, of_string(), visit)?.checked_add(BYTES)?;
            std::str::from_utf8(bytes.get(BYTES..size)?).ok().map(|_| size)
        }
    }

    impl super::Admitted for String {}

    impl Image for Vec<String> {
        fn walk(bytes: &mut [u8], visit: &mut dyn FnMut(&mut Header) -> bool) -> Option<usize> {
            let length = header(bytes, of_vec(String::new()), visit)?;
            let mut size = length.checked_mul(BYTES)?.checked_add(BYTES)?;
            if size > bytes.len() {
                return None;
            }
            for i in 1..=length {
                let end = header(&mut bytes[i * BYTES..], of_string(), visit)?.checked_add(size)?;
                std::str::from_utf8(bytes.get(size..end)?).ok()?;
                size = end;
            }
            Some(size)
        }
    }

    impl super::Admitted for Vec<String> {}
}

#[cfg(test)]
mod tests;
