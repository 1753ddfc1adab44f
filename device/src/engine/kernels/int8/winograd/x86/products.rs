//! Products in blocks as large as the registers hold, written out: compilers take sums of whole
//! numbers apart, and then have more of them than registers, and spend an instruction on each address.

use std::arch::asm;
use std::arch::x86_64::*;

use super::Block;

/// Products of one tile, at `$from` and `$at` bytes more, as the first of their sums.
macro_rules! start {
    ($load:literal, $from:literal, $at:literal, $a:literal) => {
        concat!(
            $load,
            " {x}, [",
            $from,
            " + ",
            $at,
            "]\nvpmaddwd ",
            $a,
            ", {x}, {u}\n"
        )
    };
    ($load:literal, $from:literal, $at:literal, $a:literal, $b:literal) => {
        concat!(
            start!($load, $from, $at, $a),
            "vpmaddwd ",
            $b,
            ", {x}, {z}\n"
        )
    };
}

/// The same, added to sums.
macro_rules! more {
    ($load:literal, $from:literal, $at:literal, $a:literal) => {
        concat!(
            $load,
            " {x}, [",
            $from,
            " + ",
            $at,
            "]\n",
            "vpmaddwd {x}, {x}, {u}\nvpaddd ",
            $a,
            ", ",
            $a,
            ", {x}\n"
        )
    };
    ($load:literal, $from:literal, $at:literal, $a:literal, $b:literal) => {
        concat!(
            $load,
            " {x}, [",
            $from,
            " + ",
            $at,
            "]\n",
            "vpmaddwd {y}, {x}, {u}\nvpaddd ",
            $a,
            ", ",
            $a,
            ", {y}\n",
            "vpmaddwd {x}, {x}, {z}\nvpaddd ",
            $b,
            ", ",
            $b,
            ", {x}\n"
        )
    };
}

/// Twelve tiles' inputs at `$at`, times the vector of weights at `$w`.
macro_rules! by_one {
    ($add:ident, $load:literal, $at:literal, $w:literal) => {
        concat!(
            "vmovdqu {u}, [{w} + ",
            $w,
            "]\n",
            $add!($load, "{v}", $at, "{a0}"),
            $add!($load, "{v} + {t}", $at, "{a1}"),
            $add!($load, "{v} + 2*{t}", $at, "{a2}"),
            $add!($load, "{v3}", $at, "{a3}"),
            $add!($load, "{v3} + {t}", $at, "{a4}"),
            $add!($load, "{v3} + 2*{t}", $at, "{a5}"),
            $add!($load, "{v6}", $at, "{a6}"),
            $add!($load, "{v6} + {t}", $at, "{a7}"),
            $add!($load, "{v6} + 2*{t}", $at, "{a8}"),
            $add!($load, "{v9}", $at, "{a9}"),
            $add!($load, "{v9} + {t}", $at, "{a10}"),
            $add!($load, "{v9} + 2*{t}", $at, "{a11}"),
        )
    };
}

/// Six tiles' inputs at `$at`, times the two vectors of weights at `$u` and `$z`.
macro_rules! by_two {
    ($add:ident, $at:literal, $u:literal, $z:literal) => {
        concat!(
            "vmovdqu {u}, [{w} + ",
            $u,
            "]\nvmovdqu {z}, [{w} + ",
            $z,
            "]\n",
            $add!("vpbroadcastd", "{v}", $at, "{a0}", "{b0}"),
            $add!("vpbroadcastd", "{v} + {t}", $at, "{a1}", "{b1}"),
            $add!("vpbroadcastd", "{v} + 2*{t}", $at, "{a2}", "{b2}"),
            $add!("vpbroadcastd", "{v3}", $at, "{a3}", "{b3}"),
            $add!("vpbroadcastd", "{v3} + {t}", $at, "{a4}", "{b4}"),
            $add!("vpbroadcastd", "{v3} + 2*{t}", $at, "{a5}", "{b5}"),
        )
    };
}

/// A function that runs `$text` on the sums of twelve tiles.
macro_rules! twelve {
    ($name:ident, $how:ident, $($text:expr),*) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn $name(acc: &mut [__m256i; 12], v: *const i16, t: usize, w: *const i16) {
            let at = |tile| v.cast::<u8>().wrapping_add(tile * t);
            // SAFETY: the caller points at the inputs of twelve tiles, `t` bytes apart, and weights.
            unsafe {
                asm!(
                    $($text,)*
                    a0 = $how(ymm_reg) acc[0], a1 = $how(ymm_reg) acc[1],
                    a2 = $how(ymm_reg) acc[2], a3 = $how(ymm_reg) acc[3],
                    a4 = $how(ymm_reg) acc[4], a5 = $how(ymm_reg) acc[5],
                    a6 = $how(ymm_reg) acc[6], a7 = $how(ymm_reg) acc[7],
                    a8 = $how(ymm_reg) acc[8], a9 = $how(ymm_reg) acc[9],
                    a10 = $how(ymm_reg) acc[10], a11 = $how(ymm_reg) acc[11],
                    x = out(ymm_reg) _, u = out(ymm_reg) _,
                    v = in(reg) v, v3 = in(reg) at(3), v6 = in(reg) at(6), v9 = in(reg) at(9),
                    t = in(reg) t, w = in(reg) w,
                    options(readonly, nostack, preserves_flags)
                );
            }
        }
    };
}

/// A function that runs `$text` on the sums of six tiles with two vectors of outputs.
macro_rules! six_by_two {
    ($name:ident, $how:ident, $($text:expr),*) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn $name(acc: &mut [[__m256i; 2]; 6], v: *const i16, t: usize, w: *const i16) {
            // SAFETY: the caller points at the inputs of six tiles, `t` bytes apart, and weights.
            unsafe {
                asm!(
                    $($text,)*
                    a0 = $how(ymm_reg) acc[0][0], b0 = $how(ymm_reg) acc[0][1],
                    a1 = $how(ymm_reg) acc[1][0], b1 = $how(ymm_reg) acc[1][1],
                    a2 = $how(ymm_reg) acc[2][0], b2 = $how(ymm_reg) acc[2][1],
                    a3 = $how(ymm_reg) acc[3][0], b3 = $how(ymm_reg) acc[3][1],
                    a4 = $how(ymm_reg) acc[4][0], b4 = $how(ymm_reg) acc[4][1],
                    a5 = $how(ymm_reg) acc[5][0], b5 = $how(ymm_reg) acc[5][1],
                    x = out(ymm_reg) _, y = out(ymm_reg) _, u = out(ymm_reg) _, z = out(ymm_reg) _,
                    v = in(reg) v, v3 = in(reg) v.cast::<u8>().wrapping_add(3 * t),
                    t = in(reg) t, w = in(reg) w,
                    options(readonly, nostack, preserves_flags)
                );
            }
        }
    };
}

twelve!(
    pairs_of_four,
    out,
    by_one!(start, "vpbroadcastd", "0", "0"),
    by_one!(more, "vpbroadcastd", "4", "32")
);
twelve!(
    pairs_of_eight,
    out,
    by_one!(start, "vpbroadcastd", "0", "0"),
    by_one!(more, "vpbroadcastd", "4", "32"),
    by_one!(more, "vpbroadcastd", "8", "64"),
    by_one!(more, "vpbroadcastd", "12", "96")
);
twelve!(
    pairs_of_eight_more,
    inout,
    by_one!(more, "vpbroadcastd", "0", "0"),
    by_one!(more, "vpbroadcastd", "4", "32"),
    by_one!(more, "vpbroadcastd", "8", "64"),
    by_one!(more, "vpbroadcastd", "12", "96")
);
twelve!(fours_of_four, out, by_one!(start, "vpbroadcastq", "0", "0"));
twelve!(
    fours_of_eight,
    out,
    by_one!(start, "vpbroadcastq", "0", "0"),
    by_one!(more, "vpbroadcastq", "8", "32")
);
twelve!(
    fours_of_eight_more,
    inout,
    by_one!(more, "vpbroadcastq", "0", "0"),
    by_one!(more, "vpbroadcastq", "8", "32")
);
six_by_two!(
    four,
    out,
    by_two!(start, "0", "0", "32"),
    by_two!(more, "4", "64", "96")
);
six_by_two!(
    eight,
    out,
    by_two!(start, "0", "0", "32"),
    by_two!(more, "4", "64", "96"),
    by_two!(more, "8", "128", "160"),
    by_two!(more, "12", "192", "224")
);
six_by_two!(
    eight_more,
    inout,
    by_two!(more, "0", "0", "32"),
    by_two!(more, "4", "64", "96"),
    by_two!(more, "8", "128", "160"),
    by_two!(more, "12", "192", "224")
);

/// Sums over all inputs: the first four or eight, then eight at a time, `$size` weights an input.
macro_rules! over_inputs {
    ($block:ident, $acc:ident, $size:expr, $four:ident, $eight:ident, $eight_more:ident) => {
        let bytes = $block.inputs * size_of::<i16>();
        let first = if $block.inputs.is_multiple_of(8) {
            $eight(&mut $acc, $block.v, bytes, $block.w);
            8
        } else {
            $four(&mut $acc, $block.v, bytes, $block.w);
            4
        };
        for k in (first..$block.inputs).step_by(8) {
            $eight_more(&mut $acc, $block.v.add(k), bytes, $block.w.add(k * $size));
        }
    };
}

/// A function for twelve tiles and one vector of sums, `$size` weights an input.
macro_rules! one_vector {
    ($name:ident, $size:literal, $four:ident, $eight:ident, $eight_more:ident) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) unsafe fn $name(block: &Block) {
            // SAFETY: the block's buffers hold the inputs of twelve tiles, their weights and sums.
            unsafe {
                let mut acc = [_mm256_setzero_si256(); 12];
                over_inputs!(block, acc, $size, $four, $eight, $eight_more);
                for (p, sums) in acc.into_iter().enumerate() {
                    _mm256_storeu_si256(block.m.add(p * block.step).cast(), sums);
                }
            }
        }
    };
}

// Eight outputs; four, the sums of each in two parts.
one_vector!(
    twelve,
    8,
    pairs_of_four,
    pairs_of_eight,
    pairs_of_eight_more
);
one_vector!(
    twelve_halves,
    4,
    fours_of_four,
    fours_of_eight,
    fours_of_eight_more
);

/// Six tiles and sixteen outputs.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn six_by_two(block: &Block) {
    // SAFETY: the block's buffers hold the inputs of six tiles, their weights and sums.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); 2]; 6];
        over_inputs!(block, acc, 16, four, eight, eight_more);
        for (p, sums) in acc.into_iter().enumerate() {
            let to = block.m.add(p * block.step);
            _mm256_storeu_si256(to.cast(), sums[0]);
            _mm256_storeu_si256(to.add(8).cast(), sums[1]);
        }
    }
}
