use super::super::Method;
use super::super::tests::{blur, input, pairs, rows};
use super::super::unsharp::Unsharp;
use super::*;
use crate::picture::Picture;
use crate::restore::Restore;

/// The picture, this much of the way to its blur.
struct Called(&'static str, f32);

impl Restore for Called {
    fn name(&self) -> String {
        self.0.into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        let mut out = input.clone();
        let soft = blur(input);
        for (sample, soft) in out.data.iter_mut().zip(&soft.data) {
            *sample += self.1 * (*soft - *sample);
        }
        Ok(out)
    }
}

/// A mask under another name.
struct Named(&'static str, Unsharp);

impl Restore for Named {
    fn name(&self) -> String {
        self.0.into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        self.1.restore(input)
    }
}

#[test]
fn rows_are_told_apart_by_role_and_not_by_name() {
    let pairs = pairs();
    let mask = Unsharp::tuned(&pairs, Colour::Rgb).unwrap().mask;
    let methods = vec![
        Method::new(Role::Student, Called("input", 1.0)),
        input(),
        Method::new(Role::Student, Called("teacher", 0.2)),
        Method::new(Role::Student, Called("teacher", -0.4)),
        Method::new(Role::Teacher, Named("teacher", mask)),
    ];
    let rows = rows(methods, &pairs, Colour::Rgb);
    let metrics = MetricSet::default();
    let found = Evaluation::new(Colour::Rgb, &pairs, &rows, 3, &metrics).unwrap();
    let figures = |i: usize| &found.rows[i].figures;
    assert!(figures(0).gain_db.unwrap() < 0.0 && figures(0).ms_per_frame.is_some());
    assert_ne!(figures(0).cells(&[])[3], "-");
    assert_eq!(figures(1).cells(&[])[3], "-");
    assert_eq!(
        (figures(1).gain_db, figures(1).retention),
        (Some(0.0), None)
    );
    assert_eq!(figures(4).retention, Some(1.0));
    let gain =
        rows[3].results[found.ranking[0].pair].psnr - rows[1].results[found.ranking[0].pair].psnr;
    assert_eq!(found.ranking[0].gain_db, gain);
}
