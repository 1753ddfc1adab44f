//! Input and output transforms, over any vector type.

use super::{Channels, Finish, POSITIONS, Sums, TILE, Winograd, Words};

/// How far results of the output transform lie above the true ones in each direction, besides 3:
/// 24, 12, 6 and 6.
const SHIFTS: [i32; TILE] = [3, 2, 1, 1];

/// An array of an expression for each index. A closure would not be sure to be inlined, and outside
/// a function that enables vector instructions it runs tens of times slower.
macro_rules! each {
    ([$($at:literal)*] $index:ident => $value:expr) => {
        [$({
            const $index: usize = $at;
            $value
        }),*]
    };
}

/// B^T d of F(4,3).
#[inline(always)]
unsafe fn input_column<W: Words>(d: [W; 6]) -> [W; 6] {
    // SAFETY: arithmetic on values only.
    unsafe {
        let a = d[4].sub(d[2].quadruple());
        let b = d[3].sub(d[1].quadruple());
        let e = d[4].sub(d[2]);
        let f = d[3].sub(d[1]);
        let f = f.add(f);
        [
            d[0].sub(d[2]).quadruple().add(e),
            a.add(b),
            a.sub(b),
            e.add(f),
            e.sub(f),
            d[5].sub(d[3]).sub(f.add(f)),
        ]
    }
}

/// 24, 12, 6 and 6 times A^T m of F(4,3).
#[inline(always)]
unsafe fn output_column<V: Sums>(m: [V; 6]) -> [V; TILE] {
    // SAFETY: arithmetic on values only.
    unsafe {
        let (p, q) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(r).add(p.quadruple()),
            q.add(q).add(s),
            p.add(r),
            m[5].add(q).add(s.add(s)),
        ]
    }
}

/// B^T d B of `tiles` tiles from tile `first` on.
#[inline(always)]
pub(super) unsafe fn input<W: Words>(w: &Winograd, first: usize, tiles: usize) {
    for tile in 0..tiles {
        for c in (0..w.stride).step_by(W::N) {
            let at = TILE * (first + tile) * w.stride + c;
            // SAFETY: the caller's rows hold the tiles' columns, v the tiles.
            unsafe {
                let columns = each!([0 1 2 3 4 5] J => input_column(
                    each!([0 1 2 3 4 5] I => W::load(w.rows[I].add(at + J * w.stride)))
                ));
                let to = w.v.add(POSITIONS * tile * w.stride + c);
                each!([0 1 2 3 4 5] I => {
                    let row = input_column(each!([0 1 2 3 4 5] J => columns[J][I]));
                    each!([0 1 2 3 4 5] J => row[J].store(to.add((6 * I + J) * w.stride)));
                });
            }
        }
    }
}

/// A^T m A of `tiles` tiles, and what [`Finish`] makes of them.
#[inline(always)]
pub(super) unsafe fn output<V: Finish<T>, T>(
    w: &Winograd,
    out: [*mut T; TILE],
    first: usize,
    tiles: usize,
) {
    let outputs = w.vectors * V::N;
    let width = outputs * V::PARTS;
    for tile in 0..tiles {
        for c in (0..outputs).step_by(V::N) {
            // SAFETY: m holds the tiles, bias and multiplier every channel, out the tiles' pixels.
            unsafe {
                let m = w.m.add(POSITIONS * tile * width + c * V::PARTS);
                let columns = each!([0 1 2 3 4 5] J => output_column(
                    each!([0 1 2 3 4 5] I => V::load(m.add((6 * I + J) * width)))
                ));
                let channels = Channels {
                    bias: w.bias.add(c),
                    multiplier: w.multiplier.add(c),
                    zero: w.zero,
                };
                let to = TILE * (first + tile) * outputs + c;
                each!([0 1 2 3] I => {
                    let row = output_column(each!([0 1 2 3 4 5] J => columns[J][I]));
                    let shifts = each!([0 1 2 3] J => SHIFTS[I] + SHIFTS[J]);
                    V::finish(row, shifts, &channels, out[I].add(to), outputs);
                });
            }
        }
    }
}
