//! The kernel of an instruction set: transforms, and products in blocks of tiles and vectors.

use std::ops::Range;

use super::{Block, POSITIONS, Sums, TILES, Winograd, pitch};

/// All positions of some tiles, `P` at a time, times `Q` vectors of outputs from `vector` on.
#[inline(always)]
pub(super) unsafe fn multiply<V: Sums, const P: usize, const Q: usize>(
    w: &Winograd,
    vector: usize,
    tiles: Range<usize>,
) {
    let step = w.vectors * V::N * V::PARTS;
    for position in 0..POSITIONS {
        for tile in tiles.clone().step_by(P) {
            // SAFETY: v and m hold TILES tiles, a multiple of P, `weights` every position.
            unsafe {
                V::products::<P, Q>(&Block {
                    v: w.v.add(position * pitch(w.stride) + tile * w.stride),
                    inputs: w.stride,
                    w: w.weights
                        .add((position * w.vectors + vector) * V::N * w.stride),
                    m: w.m
                        .add((position * TILES + tile) * step + vector * V::N * V::PARTS),
                    step,
                });
            }
        }
    }
}

/// Where blocks of `big` tiles end and `small` ones go on.
pub(super) fn until(tiles: usize, big: usize, small: usize) -> usize {
    let rest = tiles % big;
    tiles - rest + if rest > big - small { big } else { 0 }
}

/// The kernel of an instruction set: block sizes are `vectors: big small` in tiles.
macro_rules! kernel {
    (
        $(#[$enable:meta])* static $name:ident, $sums:ty, inputs $numbers:expr, $transform:path,
        gives $($out:ident)|*, most $most:expr, [$($q:literal: $big:literal $small:literal),*]
    ) => {
        pub(in crate::engine::kernels::int8) static $name: WinogradKernel = WinogradKernel {
            lanes: <$sums as Sums>::N,
            parts: <$sums as Sums>::PARTS,
            inputs: $numbers,
            pack: |layer| pack::<$sums>(layer, $most),
            run,
        };

        const _: () = {
            $(assert!(TILES.is_multiple_of($big) && TILES.is_multiple_of($small));)*
        };

        // Functions of their own keep each one's numbers in registers.
        $(#[$enable])*
        #[inline(never)]
        unsafe fn products<const P: usize, const Q: usize>(
            w: &Winograd, vector: usize, tiles: Range<usize>,
        ) {
            // SAFETY: the caller's promises, passed on.
            unsafe { multiply::<$sums, P, Q>(w, vector, tiles) }
        }

        $(#[$enable])*
        #[inline(never)]
        unsafe fn transform_output<T: Copy>(
            w: &Winograd, out: [*mut T; TILE], first: usize, tiles: usize,
        )
        where
            $sums: Finish<T>,
        {
            // SAFETY: the caller's promises, passed on.
            unsafe { transforms::output::<$sums, T>(w, out, first, tiles) }
        }

        $(#[$enable])*
        unsafe fn run(w: &Winograd) {
            let mut first = 0;
            while first < w.tiles {
                let tiles = TILES.min(w.tiles - first);
                // SAFETY: the caller's promises; v and m hold TILES tiles.
                unsafe {
                    $transform(w, first, tiles);
                    blocks(w.vectors, $most, |q, vector| match q {
                        $($q => {
                            let until = until(tiles, $big, $small);
                            products::<$big, $q>(w, vector, 0..until);
                            products::<$small, $q>(w, vector, until..tiles);
                        })*
                        _ => unreachable!("blocks are at most {} vectors", $most),
                    });
                    match w.out {
                        $([Out::$out(a), Out::$out(b), Out::$out(c), Out::$out(d)] => {
                            transform_output(w, [a, b, c, d], first, tiles);
                        })*
                        _ => unreachable!("all rows get the same, and only last layers floats"),
                    }
                }
                first += tiles;
            }
        }
    };
}

pub(super) use kernel;
