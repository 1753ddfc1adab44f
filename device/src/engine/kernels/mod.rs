//! Convolution kernels: the only place where instruction sets differ.
//!
//! Everything here works on raw pointers into buffers that the executor has laid out; each function
//! says how far it reads and writes. Kernels compute whole blocks of pixels, so they may read and
//! write past the last pixel asked for by up to [`SLACK`] pixels, into space the executor leaves.

pub(in crate::engine) mod f32;
pub(in crate::engine) mod int8;

/// Pixels (or tiles) past the last one that kernels may touch.
pub(in crate::engine) const SLACK: usize = 24;

/// Sizes of the blocks into which `vectors` are cut, each at most `most`.
pub(in crate::engine) fn split(vectors: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = vectors.div_ceil(most).max(1);
    (0..count).map(move |i| vectors * (i + 1) / count - vectors * i / count)
}

/// Calls `block(size, first)` until `count` is covered, with `big` blocks while they fill up and
/// `small` ones for the rest.
#[inline(always)]
fn cover(count: usize, big: usize, small: usize, mut block: impl FnMut(bool, usize)) {
    let mut first = 0;
    while first < count {
        let fits = count - first > big - small;
        block(fits, first);
        first += if fits { big } else { small };
    }
}

/// Calls `block(q, first vector)` for the blocks of `vectors`.
#[inline(always)]
fn blocks(vectors: usize, most: usize, mut block: impl FnMut(usize, usize)) {
    let mut first = 0;
    for q in split(vectors, most) {
        block(q, first);
        first += q;
    }
}
