use super::bicubic::Bicubic;
use super::honed::{agreement, frames};
use super::summary::{Evaluation, Tuned, TunedOn};
use super::unsharp::{Tuning, Unsharp};
use super::*;

/// Stripes, discs and a ramp; `shift` moves them.
fn scene(shift: usize) -> Picture {
    let (h, w) = (64, 80);
    let mut picture = Picture::new(3, h, w);
    for (i, sample) in picture.data.iter_mut().enumerate() {
        let (c, y, x) = (i / (h * w), i / w % h, i % w + shift);
        let disc = (x % 20).abs_diff(10).pow(2) + (y % 20).abs_diff(10).pow(2) < 40;
        let value = if disc {
            60 * c + 100
        } else {
            40 + (x / 3 % 2) * 60 + y / 2
        };
        *sample = (value % 256) as f32 / 255.0;
    }
    picture
}

/// Mean of 3x3 pixels, border repeated, on the byte grid.
pub(super) fn blur(picture: &Picture) -> Picture {
    let mut out = picture.clone();
    let (h, w) = (picture.height, picture.width);
    for (i, sample) in out.data.iter_mut().enumerate() {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        let around =
            |d: usize, length: usize, at: usize| (at + d).saturating_sub(1).min(length - 1);
        let sum: f32 = (0..9)
            .map(|k| picture.data[(c * h + around(k / 3, h, y)) * w + around(k % 3, w, x)])
            .sum();
        *sample = sum / 9.0;
    }
    planes(&out, Colour::Rgb)
}

pub(super) fn pairs() -> PairSet {
    let pair = |shift| Pair {
        name: format!("{shift}"),
        input: blur(&scene(shift)),
        truth: scene(shift),
    };
    vec![pair(0), pair(5)].into()
}

pub(super) fn input() -> Method {
    Method::new(Role::Input, Unchanged)
}

fn baseline(method: impl Restore + 'static) -> Method {
    Method::new(Role::Baseline, method)
}

pub(super) fn rows(methods: Vec<Method>, pairs: &PairSet, colour: Colour) -> Vec<Row> {
    let metrics = MetricSet::default();
    let comparison = Comparison {
        colour,
        metrics: &metrics,
    };
    let mut methods = methods;
    evaluate(&mut methods, pairs, comparison, || ()).unwrap()
}

#[test]
fn the_tuned_mask_beats_its_neighbours_and_the_input() {
    for colour in [Colour::Luma, Colour::Rgb] {
        let pairs = pairs();
        let tuned = Unsharp::tuned(&pairs, colour).unwrap().mask;
        let score = |method: Method| {
            let rows = rows(vec![method], &pairs, colour);
            rows[0].psnr().unwrap().mean
        };
        let best = score(baseline(tuned));
        assert!(best > score(input()) + 0.5);
        for factor in [0.4, 2.5] {
            let (amount, sigma) = (tuned.amount * factor, tuned.sigma * factor);
            assert!(best > score(baseline(Unsharp { amount, ..tuned })));
            assert!(best > score(baseline(Unsharp { sigma, ..tuned })));
        }
    }
    assert!(Unsharp::tuned(&Vec::new().into(), Colour::Rgb).is_err());
}

#[test]
fn a_picture_that_needs_nothing_counts_in_no_mean() {
    let perfect = Pair {
        name: "sharp".into(),
        input: planes(&scene(9), Colour::Rgb),
        truth: planes(&scene(9), Colour::Rgb),
    };
    let mut items: Vec<Pair> = (0..2).map(|i| pairs().get(i).unwrap()).collect();
    let without: PairSet = items.clone().into();
    items.push(perfect);
    let with: PairSet = items.into();
    let tuned = Unsharp::tuned(&with, Colour::Rgb).unwrap();
    assert_eq!(tuned, Unsharp::tuned(&without, Colour::Rgb).unwrap());
    let tuned = tuned.mask;
    let evaluation = |pairs: &PairSet| {
        let methods = vec![input(), baseline(tuned)];
        let rows = rows(methods, pairs, Colour::Rgb);
        let metrics = MetricSet::default();
        Evaluation::new(Colour::Rgb, pairs, &rows, 1, &metrics).unwrap()
    };
    let (with, without) = (evaluation(&with), evaluation(&without));
    assert_eq!((with.equal, without.equal), (1, 0));
    assert_eq!(
        with.rows[1].figures.gain_db,
        without.rows[1].figures.gain_db
    );
    let psnr = |evaluation: &Evaluation| -> Vec<_> {
        let rows = evaluation.rows.iter();
        rows.map(|row| row.metrics["psnr_rgb"].unwrap()).collect()
    };
    assert_eq!(psnr(&with), psnr(&without));
    assert!(
        with.markdown()
            .contains("no finite value in some row: psnr_rgb 2, psnr_y 2")
    );
    assert_eq!(with.ranking.len(), 2);
    assert!(
        with.markdown()
            .contains("1 of the pictures come out exactly true")
    );
}

#[test]
fn good_pictures_that_forbid_every_mask_are_told() {
    let mut items: Vec<Pair> = (0..2).map(|i| pairs().get(i).unwrap()).collect();
    let alone = Unsharp::tuned(&items.clone().into(), Colour::Rgb).unwrap();
    assert!(alone.mask.amount > 0.0 && alone.spoilt.is_none());
    for i in 0..6 {
        // One step of a byte in one corner: 60 dB and more.
        let truth = scene(20 + i);
        let mut input = truth.clone();
        input.data[0] = (input.data[0] - 1.0 / 255.0).abs();
        items.push(Pair {
            name: i.to_string(),
            input,
            truth,
        });
    }
    let found = Unsharp::tuned(&items.clone().into(), Colour::Rgb).unwrap();
    let spoilt = found.spoilt.unwrap();
    assert_eq!(found.mask.amount, 0.0);
    assert_eq!((spoilt.good, spoilt.of), (6, 8));
    assert_eq!(spoilt.mask, alone.mask);
    assert!(spoilt.gain_db > 0.5);

    let pairs: PairSet = items.into();
    let methods = vec![input()];
    let rows = rows(methods, &pairs, Colour::Rgb);
    let metrics = MetricSet::default();
    let mut evaluation = Evaluation::new(Colour::Rgb, &pairs, &rows, 0, &metrics).unwrap();
    let on = TunedOn::Recipe;
    evaluation.unsharp = Some(Tuned { found, on });
    let told = "for 6 of the 8 have 40 dB and more already";
    assert!(evaluation.markdown().contains(told));
}

#[test]
fn tables_and_json_carry_the_same_numbers() {
    let pairs = pairs();
    let mut mask = Unsharp {
        sigma: 1.0,
        amount: 1.0,
    };
    let methods = vec![input(), baseline(mask), baseline(Bicubic)];
    let pairs = pairs.as_sequence();
    let mut rows = rows(methods, &pairs, Colour::Luma);
    let sample = pairs.get(0).unwrap().input;
    rows[1].speed = vec![
        None,
        speed::speed(&mut mask, &sample, (64, 48), None).unwrap(),
    ];
    let metrics = MetricSet::default();
    let evaluation = Evaluation::new(Colour::Luma, &pairs, &rows, 1, &metrics);
    let mut evaluation = evaluation.unwrap();
    evaluation.degradation = Some("motion".parse().unwrap());
    evaluation.unsharp = Some(Tuned {
        found: Tuning { mask, spoilt: None },
        on: TunedOn::Recipe,
    });
    let json = serde_json::to_value(&evaluation).unwrap();
    let psnr = json["rows"][1]["psnr_db"]["mean"].as_f64().unwrap();
    assert_eq!(psnr, rows[1].psnr().unwrap().mean);
    assert!(json["rows"][1]["gain_db"].as_f64().unwrap() > 0.0);
    assert!(
        json["rows"][1]["metrics"]["psnr_rgb"]["mean"]
            .as_f64()
            .unwrap()
            > 10.0
    );
    let markdown = evaluation.markdown();
    assert!(markdown.contains(&format!("{psnr:.2} ±")), "{markdown}");
    assert!(!markdown.contains("at the edge") && !markdown.contains("what a row names"));
    for text in [
        "sigma 1, amount 1",
        "pictures of the student's recipe",
        "ms 64x48",
        "degraded by: motion",
        "| lab_l1 ↓ |",
        "| flicker ↓ | 2",
        "| repeated frames ↓ | 0 |",
    ] {
        assert!(markdown.contains(text), "{text}: {markdown}");
    }
    // Every row of a Markdown table has as many cells as its head.
    let cells: Vec<usize> = markdown.lines().map(|l| l.matches('|').count()).collect();
    assert!(cells.contains(&(evaluation.headings().len() + 1)) && cells.contains(&5));
    assert!(
        evaluation
            .table()
            .to_string()
            .contains(&format!("{psnr:.2} ±"))
    );
    evaluation.rows[1].figures.device = Some("cuda:0".into());
    mask.amount = 5.0;
    evaluation.unsharp = Some(Tuned {
        found: Tuning { mask, spoilt: None },
        on: TunedOn::Recipe,
    });
    let markdown = evaluation.markdown();
    for text in [
        "| unsharp mask (cuda:0) |",
        ", or on what a row names; retention",
        "sigma 1, amount 5, at the edge of what is tried",
    ] {
        assert!(markdown.contains(text), "{text}: {markdown}");
    }
    assert_eq!(evaluation.ranking.len(), 2);
    assert!(evaluation.ranking[0].gain_db >= evaluation.ranking[1].gain_db);
}

#[test]
fn pictures_of_several_sizes_are_told_and_timed_apart() {
    let mut items: Vec<Pair> = (0..2).map(|i| pairs().get(i).unwrap()).collect();
    let small = |width| Pair {
        name: "small.png".into(),
        input: blur(&scene(3)).crop(8, 8, 9, width),
        truth: scene(3).crop(8, 8, 9, width),
    };
    items.push(small(12));
    let metrics = MetricSet::default();
    let evaluation = |items: &[Pair]| {
        let pairs: PairSet = items.to_vec().into();
        let rows = rows(vec![input(), baseline(Bicubic)], &pairs, Colour::Rgb);
        Evaluation::new(Colour::Rgb, &pairs, &rows, 1, &metrics).unwrap()
    };
    let told = evaluation(&items).markdown();
    for text in [
        "over 3 pictures of 2 sizes, 12x9 to 80x64; ms/frame is the median at 80x64, the size of the first, on",
        "Not all 3 pictures count",
        ": SSIM 2",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    let told = evaluation(&items[..2]).markdown();
    assert!(told.contains("2 pictures of 80x64; ms/frame is the median at that size"));
    assert!(!told.contains("Not all"), "{told}");

    items.push(small(1));
    let comparison = Comparison {
        colour: Colour::Rgb,
        metrics: &metrics,
    };
    let mut methods = vec![baseline(Bicubic)];
    // Of one that is too small for a window, what needs none counts.
    let rows = evaluate(&mut methods, &items.into(), comparison, || ()).unwrap();
    let smallest = &rows[0].results[3];
    assert_eq!((smallest.size, smallest.ssim), ((1, 9), None));
    assert!(smallest.psnr.is_finite());
}

#[test]
fn agreement_counts_every_sample() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = pairs();
    let fed = |i: usize| Ok(planes(&pairs.get(i)?.input, Colour::Luma));
    let mut shown = [fed(0).unwrap(), fed(1).unwrap()];
    shown[1].data[7] = (shown[1].data[7] + 3.0 / 255.0).min(1.0);
    for (i, frame) in shown.iter().enumerate() {
        frame
            .save(&folder.path().join(format!("{i:06}.png")))
            .unwrap();
    }
    let shown = frames(folder.path(), Colour::Luma).unwrap();
    assert!(!shown.studio);
    let found = agreement(&mut Unchanged, 2, fed, &shown.pictures).unwrap();
    assert_eq!((found.frames, found.max_difference), (2, 3));
    assert_eq!(found.equal, 1.0 - 1.0 / (2.0 * 64.0 * 80.0));
    assert!(agreement(&mut Unchanged, 1, fed, &shown.pictures).is_err());
    let metrics = MetricSet::default();
    let comparison = Comparison {
        colour: Colour::Luma,
        metrics: &metrics,
    };
    let row = honed::row(&shown, &pairs, comparison).unwrap();
    assert_eq!(row.results.len(), 2);
    let mut small = shown.clone();
    small.pictures[0] = shown.pictures[0].crop(0, 0, 32, 40);
    let error = honed::row(&small, &pairs, comparison).unwrap_err();
    assert!(
        error.to_string().contains("is 40x32, 0 is 80x64"),
        "{error}"
    );
    let mut more = shown.clone();
    more.pictures.push(shown.pictures[0].clone());
    let error = honed::row(&more, &pairs, comparison).unwrap_err();
    assert!(error.to_string().contains("3 frames, and 2"), "{error}");
}

#[test]
fn video_luma_of_honed_is_compared_as_full_range() {
    use hone_shared::frames::{PNG_HEADER, STUDIO_LUMA};
    let folder = tempfile::tempdir().unwrap();
    let pairs = pairs();
    let metrics = MetricSet::default();
    let comparison = Comparison {
        colour: Colour::Luma,
        metrics: &metrics,
    };
    let path = |i: usize| folder.path().join(format!("{i:06}.png"));
    for i in 0..2 {
        // Frames that are the truth, but for their range.
        let mut luma = planes(&pairs.get(i).unwrap().truth, Colour::Luma);
        for sample in &mut luma.data {
            *sample = (16.0 + 219.0 * *sample).round() / 255.0;
        }
        luma.save(&path(i)).unwrap();
        let mut bytes = std::fs::read(path(i)).unwrap();
        bytes.splice(PNG_HEADER..PNG_HEADER, STUDIO_LUMA);
        std::fs::write(path(i), bytes).unwrap();
    }
    let shown = frames(folder.path(), Colour::Luma).unwrap();
    assert!(shown.studio);
    let row = honed::row(&shown, &pairs, comparison).unwrap();
    assert!(row.psnr().unwrap().mean > 50.0, "{:?}", row.psnr());
    shown.pictures[1].save(&path(1)).unwrap();
    let error = frames(folder.path(), Colour::Luma).unwrap_err().to_string();
    assert!(error.contains("one run"), "{error}");
}

#[test]
fn figures_put_panels_under_labels() {
    let (a, b) = (scene(0), planes(&scene(0), Colour::Luma));
    let strip = figure::beside(&[("before", &a), ("after", &b)]);
    assert_eq!(strip.width, 2 * 80 + 4);
    let below = strip.crop(strip.height - 64, 0, 64, 80);
    assert_eq!(below, a);
    let bar = strip.crop(0, 0, strip.height - 64, strip.width);
    assert!(bar.data.contains(&1.0));
    let mut half = Picture::new(1, 64, 80);
    for y in 32..64 {
        for x in (40..80).step_by(2) {
            half.data[y * 80 + x] = 1.0;
        }
    }
    let (top, left) = figure::busiest(&half, 32, 40);
    assert!(top >= 24 && left >= 30, "{top} {left}");
}
