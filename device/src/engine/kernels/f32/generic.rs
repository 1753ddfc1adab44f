//! The kernels over any vector type, always inlined into functions that enable its instructions.

use std::array::from_fn;

use super::{Activation, Direct, Multiply, Output};

/// A vector of floats.
///
/// # Safety
/// Implementations load and store exactly `N` floats. Callers run on a machine with the type's
/// instructions.
pub(super) unsafe trait Lanes: Copy {
    /// Floats in a vector: 4, 8 or 16.
    const N: usize;
    /// `x` in every lane.
    unsafe fn splat(x: f32) -> Self;
    /// `N` floats, unaligned.
    unsafe fn load(from: *const f32) -> Self;
    /// `N` floats, unaligned.
    unsafe fn store(self, to: *mut f32);
    /// Four floats, repeated.
    unsafe fn load_quads(from: *const f32) -> Self;
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane by lane; 0 where either is no number.
    unsafe fn relu(self) -> Self;
    /// Lane by lane, for numbers.
    unsafe fn min(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// `acc[p] += a[p * stride + i] * b[i]` for i in `0..k` (a multiple of 4); `b` holds `Q`
    /// vectors for each i.
    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const f32,
        stride: usize,
        k: usize,
        b: *const f32,
    ) {
        for i in 0..k {
            // SAFETY: the caller's buffers hold k columns of a and k * Q vectors of b.
            unsafe {
                let mut w = [Self::splat(0.0); Q];
                for (q, w) in w.iter_mut().enumerate() {
                    *w = Self::load(b.add((i * Q + q) * Self::N));
                }
                for (p, acc) in acc.iter_mut().enumerate() {
                    let x = Self::splat(*a.add(p * stride + i));
                    for (acc, w) in acc.iter_mut().zip(&w) {
                        *acc = x.mul_add(*w, *acc);
                    }
                }
            }
        }
    }

    /// Four pixels of 4 outputs x 4 partial sums, `Q` vectors each: sums the parts, adds `bias`
    /// (16 floats) and stores `[pixel][output]`.
    #[inline(always)]
    unsafe fn fold<const Q: usize>(pixels: [[Self; Q]; 4], bias: *const f32, out: *mut f32) {
        for (p, pixel) in pixels.iter().enumerate() {
            let mut parts = [0.0_f32; 16];
            for (q, vector) in pixel.iter().enumerate() {
                // SAFETY: Q vectors of N floats are 16.
                unsafe { vector.store(parts.as_mut_ptr().add(q * Self::N)) };
            }
            for (o, part) in parts.chunks_exact(4).enumerate() {
                let sum = (part[0] + part[2]) + (part[1] + part[3]);
                // SAFETY: `out` and `bias` hold 16 floats.
                unsafe { *out.add(4 * p + o) = sum + *bias.add(4 * p + o) };
            }
        }
    }
}

impl Activation {
    #[inline(always)]
    unsafe fn apply<V: Lanes>(self, value: V) -> V {
        // SAFETY: arithmetic on values only.
        unsafe {
            match self {
                Self::None => value,
                Self::Relu => value.relu(),
                Self::Clip(ceiling) => value.relu().min(V::splat(ceiling)),
            }
        }
    }
}

/// B^T d of F(4,3).
#[inline(always)]
unsafe fn input_column<V: Lanes>(d: [V; 6]) -> [V; 6] {
    // SAFETY: arithmetic on values only.
    unsafe {
        let c = |x: f32| V::splat(x);
        let a = d[2].mul_add(c(-4.0), d[4]);
        let b = d[1].mul_add(c(-4.0), d[3]);
        let e = d[4].sub(d[2]);
        let f = d[3].sub(d[1]);
        [
            d[0].mul_add(c(4.0), d[2].mul_add(c(-5.0), d[4])),
            a.add(b),
            a.sub(b),
            f.mul_add(c(2.0), e),
            f.mul_add(c(-2.0), e),
            d[1].mul_add(c(4.0), d[3].mul_add(c(-5.0), d[5])),
        ]
    }
}

/// A^T m of F(4,3).
#[inline(always)]
unsafe fn output_column<V: Lanes>(m: [V; 6]) -> [V; 4] {
    // SAFETY: arithmetic on values only.
    unsafe {
        let c = |x: f32| V::splat(x);
        let (p, q) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(p).add(r),
            s.mul_add(c(2.0), q),
            r.mul_add(c(4.0), p),
            s.mul_add(c(8.0), q).add(m[5]),
        ]
    }
}

/// See [`super::F32Kernels::transform_input`].
#[inline(always)]
pub(super) unsafe fn transform_input<V: Lanes>(
    rows: [*const f32; 6],
    inputs: usize,
    tiles: usize,
    v: *mut f32,
    v_stride: usize,
) {
    // SAFETY: rows hold 4 * tiles + 2 columns, v holds `tiles` tiles.
    unsafe {
        for tile in 0..tiles {
            for c in (0..inputs).step_by(V::N) {
                let at = 4 * tile * inputs + c;
                let mut columns = [[V::splat(0.0); 6]; 6];
                for (j, column) in columns.iter_mut().enumerate() {
                    let d = from_fn(|i| V::load(rows[i].add(at + j * inputs)));
                    *column = input_column(d);
                }
                let to = v.add(tile * v_stride + c);
                #[expect(clippy::needless_range_loop, reason = "i counts within columns")]
                for i in 0..6 {
                    let row = input_column(from_fn(|j| columns[j][i]));
                    for (j, value) in row.iter().enumerate() {
                        value.store(to.add((6 * i + j) * inputs));
                    }
                }
            }
        }
    }
}

/// 16 output pixels of a tile from its 36 products `stride` floats apart.
#[inline(always)]
unsafe fn tile<V: Lanes>(m: *const f32, stride: usize) -> [[V; 4]; 4] {
    // SAFETY: m holds 36 vectors.
    unsafe {
        let mut columns = [[V::splat(0.0); 4]; 6];
        for (j, column) in columns.iter_mut().enumerate() {
            *column = output_column(from_fn(|i| V::load(m.add((6 * i + j) * stride))));
        }
        let mut rows = [[V::splat(0.0); 4]; 4];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = output_column(from_fn(|j| columns[j][i]));
        }
        rows
    }
}

/// See [`super::F32Kernels::transform_output`].
#[inline(always)]
pub(super) unsafe fn transform_output<V: Lanes>(o: &Output) {
    let outputs = o.vectors * V::N;
    // SAFETY: m holds the tiles, rows hold 4 pixels for each.
    unsafe {
        for t in 0..o.tiles {
            for c in (0..outputs).step_by(V::N) {
                let bias = V::load(o.bias.add(c));
                let rows = tile::<V>(o.m.add(t * o.m_stride + c), outputs);
                for (to, row) in o.rows.iter().zip(&rows) {
                    let to = to.add(4 * t * outputs + c);
                    for (j, value) in row.iter().enumerate() {
                        o.activation
                            .apply(value.add(bias))
                            .store(to.add(j * outputs));
                    }
                }
            }
        }
    }
}

/// See [`super::F32Kernels::transform_output_narrow`]; `Q * N` is 16.
#[inline(always)]
pub(super) unsafe fn transform_output_narrow<V: Lanes, const Q: usize>(o: &Output) {
    // SAFETY: m holds the tiles, rows hold 4 pixels of 4 floats for each.
    unsafe {
        for t in 0..o.tiles {
            let mut rows = [[[V::splat(0.0); Q]; 4]; 4];
            for q in 0..Q {
                let part = tile::<V>(o.m.add(t * o.m_stride + q * V::N), 16);
                for (row, part) in rows.iter_mut().zip(&part) {
                    for (pixel, part) in row.iter_mut().zip(part) {
                        pixel[q] = *part;
                    }
                }
            }
            for (to, row) in o.rows.iter().zip(rows) {
                V::fold(row, o.bias, to.add(16 * t));
            }
        }
    }
}

/// `P` tiles of one position times `Q` vectors of outputs.
#[inline(always)]
pub(super) unsafe fn product<V: Lanes, const P: usize, const Q: usize>(
    m: &Multiply,
    v: *const f32,
    u: *const f32,
    out: *mut f32,
) {
    // SAFETY: the caller points at P tiles of v and out, and at the block's weights.
    unsafe {
        let mut acc = [[V::splat(0.0); Q]; P];
        V::accumulate(&mut acc, v, m.v_stride, m.inputs, u);
        for (p, acc) in acc.iter().enumerate() {
            for (q, value) in acc.iter().enumerate() {
                value.store(out.add(p * m.m_stride + q * V::N));
            }
        }
    }
}

/// `P` tiles of one position times 4 outputs, each in 4 partial sums; `Q * N` is 16.
#[inline(always)]
pub(super) unsafe fn product_narrow<V: Lanes, const P: usize, const Q: usize>(
    m: &Multiply,
    v: *const f32,
    u: *const f32,
    out: *mut f32,
) {
    // SAFETY: the caller points at P tiles of v and out, and at the position's weights.
    unsafe {
        let mut acc = [[V::splat(0.0); Q]; P];
        for i in 0..m.inputs / 4 {
            let mut w = [V::splat(0.0); Q];
            for (q, w) in w.iter_mut().enumerate() {
                *w = V::load(u.add(16 * i + q * V::N));
            }
            for (p, acc) in acc.iter_mut().enumerate() {
                let x = V::load_quads(v.add(p * m.v_stride + 4 * i));
                for (acc, w) in acc.iter_mut().zip(&w) {
                    *acc = x.mul_add(*w, *acc);
                }
            }
        }
        for (p, acc) in acc.iter().enumerate() {
            for (q, value) in acc.iter().enumerate() {
                value.store(out.add(p * m.m_stride + q * V::N));
            }
        }
    }
}

/// `P` pixels times `Q` vectors of outputs, from output channel `c` on.
#[inline(always)]
pub(super) unsafe fn pixels<V: Lanes, const P: usize, const Q: usize>(
    d: &Direct,
    first: usize,
    weights: *const f32,
    c: usize,
) {
    // SAFETY: rows hold the block's pixels and SLACK more, as do weights, bias and out.
    unsafe {
        let mut acc = [[V::splat(0.0); Q]; P];
        for (q, value) in acc[0].iter_mut().enumerate() {
            *value = V::load(d.bias.add(c + q * V::N));
        }
        acc = [acc[0]; P];
        let run = d.taps * d.inputs;
        for (tap, row) in d.rows.iter().take(d.taps).enumerate() {
            let weights = weights.add(tap * run * Q * V::N);
            V::accumulate(&mut acc, row.add(first * d.inputs), d.inputs, run, weights);
        }
        let outputs = d.vectors * V::N;
        for (p, acc) in acc.iter().enumerate() {
            for (q, value) in acc.iter().enumerate() {
                let to = d.out.add((first + p) * outputs + c + q * V::N);
                d.activation.apply(*value).store(to);
            }
        }
    }
}
