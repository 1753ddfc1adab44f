//! The kernels of one vector type as functions that enable its instructions, in the table that engines call by.

/// The functions of a [`super::F32Kernels`] for a vector type: block sizes are `vectors: big small`
/// in tiles or pixels, `narrow` gives vectors in 16 floats and its block sizes.
macro_rules! table {
    (
        $(#[$enable:meta])* mod $name:ident, $lanes:ty, most $most:literal,
        [$($q:literal: $big:literal $small:literal),*],
        narrow $nq:literal: $nbig:literal $nsmall:literal
    ) => {
        pub(in crate::engine::kernels::f32) mod $name {
            use crate::engine::kernels::f32::generic::{self, Lanes};
            use crate::engine::kernels::f32::{Direct, F32Kernels, Multiply, Output};
            use crate::engine::kernels::{blocks, cover};

            $(#[$enable])*
            unsafe fn transform_input(
                rows: [*const f32; 6], inputs: usize, tiles: usize, v: *mut f32, stride: usize,
            ) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::transform_input::<$lanes>(rows, inputs, tiles, v, stride) }
            }

            $(#[$enable])*
            unsafe fn transform_output(o: &Output) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::transform_output::<$lanes>(o) }
            }

            $(#[$enable])*
            unsafe fn transform_output_narrow(o: &Output) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::transform_output_narrow::<$lanes, $nq>(o) }
            }

            $(#[$enable])*
            unsafe fn product<const P: usize, const Q: usize>(
                m: &Multiply, v: *const f32, u: *const f32, out: *mut f32,
            ) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::product::<$lanes, P, Q>(m, v, u, out) }
            }

            $(#[$enable])*
            unsafe fn product_narrow<const P: usize>(
                m: &Multiply, v: *const f32, u: *const f32, out: *mut f32,
            ) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::product_narrow::<$lanes, P, $nq>(m, v, u, out) }
            }

            $(#[$enable])*
            unsafe fn pixels<const P: usize, const Q: usize>(
                d: &Direct, first: usize, weights: *const f32, c: usize,
            ) {
                // SAFETY: the caller's promises, passed on.
                unsafe { generic::pixels::<$lanes, P, Q>(d, first, weights, c) }
            }

            $(#[$enable])*
            unsafe fn multiply(m: &Multiply) {
                let n = <$lanes>::N;
                for position in 0..36 {
                    blocks(m.vectors, $most, |q, vector| {
                        // SAFETY: offsets stay inside the buffers that the caller describes.
                        unsafe {
                            let v = m.v.add(position * m.inputs);
                            let u = m.u.add((position * m.vectors + vector) * m.inputs * n);
                            let out = m.m.add((position * m.vectors + vector) * n);
                            match q {
                                $($q => cover(m.tiles, $big, $small, |fits, t| {
                                    let (v, out) = (v.add(t * m.v_stride), out.add(t * m.m_stride));
                                    if fits {
                                        product::<$big, $q>(m, v, u, out);
                                    } else {
                                        product::<$small, $q>(m, v, u, out);
                                    }
                                }),)*
                                _ => unreachable!("blocks are at most {} vectors", $most),
                            }
                        }
                    });
                }
            }

            $(#[$enable])*
            unsafe fn multiply_narrow(m: &Multiply) {
                for position in 0..36 {
                    cover(m.tiles, $nbig, $nsmall, |fits, t| {
                        // SAFETY: offsets stay inside the buffers that the caller describes.
                        unsafe {
                            let v = m.v.add(position * m.inputs + t * m.v_stride);
                            let u = m.u.add(position * m.inputs * 4);
                            let out = m.m.add(position * 16 + t * m.m_stride);
                            if fits {
                                product_narrow::<$nbig>(m, v, u, out);
                            } else {
                                product_narrow::<$nsmall>(m, v, u, out);
                            }
                        }
                    });
                }
            }

            $(#[$enable])*
            unsafe fn direct(d: &Direct) {
                let n = <$lanes>::N;
                blocks(d.vectors, $most, |q, vector| {
                    // SAFETY: offsets stay inside the buffers that the caller describes.
                    unsafe {
                        let weights = d.weights.add(d.taps * d.taps * d.inputs * vector * n);
                        match q {
                            $($q => cover(d.pixels, $big, $small, |fits, first| {
                                if fits {
                                    pixels::<$big, $q>(d, first, weights, vector * n);
                                } else {
                                    pixels::<$small, $q>(d, first, weights, vector * n);
                                }
                            }),)*
                            _ => unreachable!("blocks are at most {} vectors", $most),
                        }
                    }
                });
            }

            $(#[$enable])*
            unsafe fn widen(bytes: &[u8], out: &mut [f32]) {
                for (out, &byte) in out.iter_mut().zip(bytes) {
                    *out = f32::from(byte);
                }
            }

            pub(in crate::engine::kernels::f32) static TABLE: F32Kernels = F32Kernels {
                lanes: <$lanes>::N,
                most_vectors: $most,
                transform_input,
                multiply,
                transform_output,
                multiply_narrow,
                transform_output_narrow,
                direct,
                widen,
            };
        }
    };
}

pub(super) use table;
