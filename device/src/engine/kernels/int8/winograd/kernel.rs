//! The kernel of an instruction set: transforms, and products in blocks of tiles and vectors.

use super::{POSITIONS, Sums, Winograd};

/// `P` tiles from tile `t` on, of one position, times `Q` vectors of outputs from `v`, `w` to `m`.
#[inline(always)]
pub(super) unsafe fn block<V: Sums, const P: usize, const Q: usize>(
    w: &Winograd,
    v: *const i16,
    weights: *const i16,
    m: *mut i32,
    t: usize,
) {
    let width = V::N * V::PARTS;
    let (in_tile, out_tile) = (POSITIONS * w.stride, POSITIONS * w.vectors * width);
    // SAFETY: v and m hold the block's tiles, `weights` its weights.
    unsafe {
        let v = v.add(t * in_tile);
        // The commonest numbers of channels as constants, for which loops and addresses unroll.
        let sums = match w.stride {
            8 => V::products::<P, Q>(v, POSITIONS * 8, 8, weights),
            16 if Q == 1 => V::products::<P, Q>(v, POSITIONS * 16, 16, weights),
            _ => V::products::<P, Q>(v, in_tile, w.stride, weights),
        };
        for (p, tile) in sums.iter().enumerate() {
            for (q, value) in tile.iter().enumerate() {
                value.store(m.add((t + p) * out_tile + q * width));
            }
        }
    }
}

/// The kernel of an instruction set: block sizes are `vectors: big small` in tiles.
macro_rules! kernel {
    (
        $(#[$enable:meta])* static $name:ident, $sums:ty, words [$($words:ty),*],
        gives $($out:ident)|*, least $least:literal, most $most:expr, [$($q:literal: $big:literal $small:literal),*]
    ) => {
        pub(in crate::engine::kernels::int8) static $name: WinogradKernel = WinogradKernel {
            lanes: <$sums as Sums>::N,
            parts: <$sums as Sums>::PARTS,
            least: $least,
            tiles: TILES + MORE,
            pack: |layer| pack::<$sums>(layer, $most),
            run,
        };

        // Functions of their own keep each one's numbers in registers.
        $(#[$enable])*
        #[inline(never)]
        unsafe fn products<const P: usize, const Q: usize>(
            w: &Winograd, v: *const i16, weights: *const i16, m: *mut i32, t: usize,
        ) {
            // SAFETY: the caller's promises, passed on.
            unsafe { block::<$sums, P, Q>(w, v, weights, m, t) }
        }

        $(#[$enable])*
        #[inline(never)]
        unsafe fn transform_input<W: Words>(w: &Winograd, first: usize, tiles: usize) {
            // SAFETY: the caller's promises, passed on.
            unsafe { transforms::input::<W>(w, first, tiles) }
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
            let width = <$sums as Sums>::N * <$sums as Sums>::PARTS;
            let mut first = 0;
            while first < w.tiles {
                let tiles = TILES.min(w.tiles - first);
                // SAFETY: the caller's promises; v and m hold TILES + MORE tiles.
                unsafe {
                    $(if w.stride.is_multiple_of(<$words as Words>::N) {
                        transform_input::<$words>(w, first, tiles);
                    } else)* {
                        unreachable!("`takes` says which input channels");
                    }
                    for position in 0..POSITIONS {
                        blocks(w.vectors, $most, |q, vector| {
                            let before = position * w.vectors + vector;
                            let weights = w.weights.add(before * <$sums as Sums>::N * w.stride);
                            let v = w.v.add(position * w.stride);
                            let m = w.m.add(before * width);
                            match q {
                                $($q => cover(tiles, $big, $small, |fits, t| if fits {
                                    products::<$big, $q>(w, v, weights, m, t);
                                } else {
                                    products::<$small, $q>(w, v, weights, m, t);
                                }),)*
                                _ => unreachable!("blocks are at most {} vectors", $most),
                            }
                        });
                    }
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
