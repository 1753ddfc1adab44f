//! Input and output transforms, over any vector type.

use super::{Finish, SIDE, Sums, TILE, TILES, Winograd, Words};

/// How far results of the output transform lie above the true ones in each direction, besides 3:
/// 24, 12, 6 and 6.
const SHIFTS: [usize; TILE] = [3, 2, 1, 1];

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

pub(super) use each;

/// B^T d of F(4,3).
#[inline(always)]
pub(super) unsafe fn input_column<W: Words>(d: [W; 6]) -> [W; 6] {
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
    for c in (0..outputs).step_by(V::N) {
        // SAFETY: m holds the tiles, bias and multiplier every channel, out the tiles' pixels.
        unsafe {
            let bias = V::spread(w.bias.add(c));
            let (four, sixteen) = (bias.quadruple(), bias.quadruple().quadruple());
            let bias = four.add(sixteen).add(sixteen);
            let scales = each!([2 3 4 5 6] S => V::scale(w.multiplier.add(c), S));
            for tile in 0..tiles {
                let m = w.m.add(tile * width + c * V::PARTS);
                let to = TILE * (first + tile) * outputs + c;
                let columns = each!([0 1 2 3 4 5] J => output_column(
                    each!([0 1 2 3 4 5] I => match (I, J) {
                        // Point 1 in both directions.
                        (1, 1) => V::load(m.add((SIDE * I + J) * TILES * width)).add(bias),
                        _ => V::load(m.add((SIDE * I + J) * TILES * width)),
                    })
                ));
                each!([0 1 2 3] I => {
                    let row = output_column(each!([0 1 2 3 4 5] J => columns[J][I]));
                    let scales = each!([0 1 2 3] J => scales[SHIFTS[I] + SHIFTS[J] - 2]);
                    V::finish(row, scales, w.zero, out[I].add(to), outputs);
                });
            }
        }
    }
}
