use super::super::{PixelFormat, sample};
use super::*;

/// A camera and many other sizes in turns.
#[test]
fn a_size_that_is_in_use_keeps_its_plan() {
    let model = Model::parse(&sample::f32_chain()).unwrap();
    let student = StudentInfo::of(&model, &super::super::reach::reach(&model).unwrap());
    let options = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let mut engine = TractEngine::new(&model, student, options).unwrap();
    let mut restore = |width: usize| {
        let bytes = vec![9; 4 * width];
        let mut out = bytes.clone();
        let frame = FrameView::packed(PixelFormat::Gray8, width, 4, &bytes).unwrap();
        let mut view = FrameViewMut::packed(PixelFormat::Gray8, width, 4, &mut out).unwrap();
        engine.run(&frame, &mut view, 1.0).unwrap();
        let plan = |width: usize| engine.plans.iter().find(|p| p.0 == (4, width));
        (
            plan(width).map(|p| p.1.clone()).unwrap(),
            engine.plans.len(),
        )
    };
    let (camera, _) = restore(2);
    for other in 2..40 {
        restore(2 * other);
        let (again, plans) = restore(2);
        assert!(Arc::ptr_eq(&camera, &again), "after {other} sizes");
        assert!(plans <= MAX_PLANS);
    }
}
