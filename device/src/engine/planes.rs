//! Planes of a camera through the engine: those that a student does not restore, and those that do not fit.

use hone_shared::student::Colour;

use super::sample::{self, Numbers};
use super::tests::{options, run};
use super::*;

#[test]
fn strength_zero_and_other_planes_are_the_cameras_bytes() {
    let chain = sample::chain(Colour::Luma, 2, &[4, 8, 4], 5);
    let mut engine = load(&sample::onnx(&chain), options(2)).unwrap();
    let (width, height) = (19, 11);
    let luma = Numbers(4).bytes(width * height);
    let sharp = run(
        &mut *engine,
        PixelFormat::Gray8,
        (width, height),
        &luma,
        1.0,
    );
    assert_eq!(
        run(
            &mut *engine,
            PixelFormat::Gray8,
            (width, height),
            &luma,
            0.0
        ),
        luma
    );

    let yuyv = Numbers(5).bytes(40 * height);
    let out = run(&mut *engine, PixelFormat::Yuyv, (width, height), &yuyv, 1.0);
    let (y, rest): (Vec<u8>, Vec<u8>) = out.chunks(2).map(|p| (p[0], p[1])).unzip();
    let before: (Vec<u8>, Vec<u8>) = yuyv.chunks(2).map(|p| (p[0], p[1])).unzip();
    assert_eq!(rest, before.1);
    let crop = |y: &[u8]| {
        y.chunks(20)
            .flat_map(|r| r[..19].to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        crop(&y),
        run(
            &mut *engine,
            PixelFormat::Gray8,
            (width, height),
            &crop(&before.0),
            1.0
        )
    );

    let (u, v) = (Numbers(6).bytes(60), Numbers(7).bytes(60));
    let plane = |data, stride| Some(Plane { data, stride });
    let frame = FrameView {
        format: PixelFormat::I420,
        width,
        height,
        planes: [plane(&luma, 19), plane(&u, 10), plane(&v, 10)],
    };
    let mut out = [vec![0; 30 * 11], vec![0; 60], vec![0; 60]];
    let [a, b, c] = &mut out;
    let mut view = FrameViewMut {
        format: PixelFormat::I420,
        width,
        height,
        planes: [
            Some(PlaneMut {
                data: a,
                stride: 30,
            }),
            Some(PlaneMut {
                data: b,
                stride: 10,
            }),
            Some(PlaneMut {
                data: c,
                stride: 10,
            }),
        ],
    };
    engine.run(&frame, &mut view, 1.0).unwrap();
    assert_eq!((&out[1], &out[2]), (&u, &v));
    for y in 0..height {
        assert_eq!(out[0][y * 30..y * 30 + 19], sharp[y * 19..][..19]);
    }

    // A grey picture stays grey: the residual is the same for R, G and B.
    let grey: Vec<u8> = luma.iter().flat_map(|&v| [v; 3]).collect();
    let out = run(&mut *engine, PixelFormat::Rgb8, (width, height), &grey, 1.0);
    assert_eq!(out, sharp.iter().flat_map(|&v| [v; 3]).collect::<Vec<_>>());
}

#[test]
fn what_does_not_fit_is_refused() {
    let rgb = sample::chain(Colour::Rgb, 1, &[3, 4, 3], 5);
    let mut engine = load(&sample::onnx(&rgb), EngineOptions::default()).unwrap();
    let data = [0; 64];
    let frame = FrameView::packed(PixelFormat::Gray8, 8, 8, &data).unwrap();
    let mut out = [0; 64];
    let mut view = FrameViewMut::packed(PixelFormat::Gray8, 8, 8, &mut out).unwrap();
    let error = engine.run(&frame, &mut view, 1.0).unwrap_err().to_string();
    assert!(error.contains("GRAY8") && error.contains("rgb"), "{error}");
    let error = engine.run(&frame, &mut view, 1.5).unwrap_err().to_string();
    assert!(error.contains("1.5"), "{error}");
}
