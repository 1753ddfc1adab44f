//! Gradients of every loss and weighting against central differences.
//!
//! Pictures and their losses, VGG maps among them, are f64 and must agree to 1e-4 (VGG maps 1e-2). Features, second
//! looks and weightings are f32 inside and take a larger step: 2e-2.

use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::temporal::TemporalTerm;
use super::tests::fixture;
use super::weighting::Weighting;
use super::*;

/// Half the distance between the two values of a difference, and what it must agree to.
#[derive(Clone, Copy)]
struct Precision {
    step: f64,
    tolerance: f64,
}

const F64: Precision = Precision {
    step: 1e-6,
    tolerance: 1e-4,
};
/// One ReLU or absolute value that bends within a step counts for a thousandth.
const VGG: Precision = Precision {
    tolerance: 1e-2,
    ..F64
};
const F32: Precision = Precision {
    step: 1e-3,
    tolerance: 2e-2,
};

/// The gradient of `value` at `start` along a random direction and along itself. Directions have a
/// mean square of 1, so the gradient's own size is what a slope is measured by.
fn agree(name: &str, start: &Tensor, precision: Precision, value: &dyn Fn(&Tensor) -> Tensor) {
    let x = start.detach().copy().set_requires_grad(true);
    value(&x).backward();
    let gradient = x.grad().copy();
    let size = gradient.square().sum(Kind::Double).sqrt().double_value(&[]);
    assert!(
        size > 0.0 && size.is_finite(),
        "{name}: gradient of size {size}"
    );
    let along = &gradient * ((start.numel() as f64).sqrt() / size);
    let start = start.detach();
    for (way, direction) in [("at random", start.randn_like()), ("along itself", along)] {
        let slope = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
        let at = |h: f64| tch::no_grad(|| value(&(&start + &direction * h))).double_value(&[]);
        let measured = (at(precision.step) - at(-precision.step)) / (2.0 * precision.step);
        assert!(
            (slope - measured).abs() < precision.tolerance * slope.abs().max(size),
            "{name} {way}: {slope} against {measured}, gradient of size {size}"
        );
    }
}

/// A truth and a picture that differs from it by 0.05 to 0.15 everywhere.
fn pictures(channels: i64, side: i64, kind: Kind) -> (Tensor, Tensor) {
    let options = (kind, Device::Cpu);
    let truth = Tensor::rand([1, channels, side, side], options) * 0.6 + 0.2;
    let away = Tensor::rand(truth.size(), options) * 0.1 + 0.05;
    let sign = Tensor::rand(truth.size(), options).gt(0.5).to_kind(kind) * 2.0 - 1.0;
    let picture = &truth + away * sign;
    (truth, picture)
}

fn view<'a>(restored: &'a Tensor, truth: &'a Tensor) -> View<'a> {
    View {
        restored,
        truth,
        teacher: Some(truth),
        student_features: &[],
        teacher_features: &[],
        second: None,
        parameters: &[],
        scale: 1.0,
    }
}

fn config(text: &str) -> LossConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn of_losses_on_pictures() {
    tch::manual_seed(5);
    let losses = [
        "kind = 'l1'",
        "kind = 'mse'",
        "kind = 'charbonnier'",
        "kind = 'charbonnier'\nepsilon = 0.03",
        "kind = 'psnr'",
        "kind = 'ssim'",
        "kind = 'ms-ssim'",
        "kind = 'edge'",
        "kind = 'overshoot'",
        "kind = 'lab'",
        "kind = 'frequency'",
        "kind = 'teacher'",
        "kind = 'teacher'\nmeasure = 'mse'",
        "kind = 'teacher'\nmeasure = 'charbonnier'",
        "kind = 'teacher'\nmeasure = 'ssim'",
    ];
    let store = VarStore::new(Device::Cpu);
    for text in losses {
        let config = config(&format!("{text}\nweight = 1.0"));
        let side = config.smallest_crop().max(14) as i64;
        let channels = if config.needs_rgb() { 3 } else { 1 };
        let (truth, picture) = pictures(channels, side, Kind::Double);
        let shapes = FeatureShapes::default();
        let term = config.build(&shapes, &store.root(), "/".as_ref()).unwrap();
        agree(text, &picture, F64, &|x| {
            term.value(&view(x, &truth)).unwrap()
        });
    }
}

#[test]
fn of_lab_on_both_sides_of_its_bends() {
    tch::manual_seed(6);
    // Linear below 0.04045 of sRGB and below 0.008856 of XYZ.
    for (low, high) in [(0.005, 0.03), (0.05, 0.09), (0.2, 0.9)] {
        let draw = || Tensor::rand([1, 3, 6, 6], tch::kind::DOUBLE_CPU) * (high - low) + low;
        let (truth, picture) = (draw(), draw());
        agree(&format!("lab from {low}"), &picture, F64, &|x| {
            Measure::Mse.between(&lab(x), &lab(&truth))
        });
    }
}

#[test]
fn of_perceptual_losses() {
    tch::manual_seed(7);
    let store = VarStore::new(Device::Cpu);
    let base = fixture("vgg");
    for network in ["vgg16", "vgg19"] {
        for measure in ["l1", "mse", "charbonnier"] {
            let config = config(&format!(
                "kind = 'perceptual'\nweight = 1.0\nnetwork = '{network}'\nmeasure = '{measure}'\n\
                 weights = '{network}_features_relu2_2.pth'\nlayers = ['relu1_2', 'relu2_2']"
            ));
            let term = config
                .build(&FeatureShapes::default(), &store.root(), &base)
                .unwrap();
            // Luma is repeated for the three planes that a VGG sees.
            for channels in [1, 3] {
                let (truth, picture) = pictures(channels, 16, Kind::Double);
                let name = format!("{network} {measure} of {channels} planes");
                agree(&name, &picture, VGG, &|x| {
                    term.value(&view(x, &truth)).unwrap()
                });
            }
        }
    }
}

#[test]
fn of_feature_distillation() {
    tch::manual_seed(8);
    let draw = |size: [i64; 4]| Tensor::randn(size, tch::kind::FLOAT_CPU);
    let named = |name: &str, map: &Tensor| vec![(name.to_owned(), map.shallow_clone())];
    // Teacher maps of another number of channels, and of another height and width.
    for teacher in [draw([2, 6, 8, 8]), draw([2, 6, 16, 16]), draw([2, 6, 4, 4])] {
        let student = draw([2, 4, 8, 8]);
        let teachers = named("t", &teacher);
        let shapes = FeatureShapes::of(&named("s", &student), &teachers);
        for mode in ["adaptor", "attention"] {
            let store = VarStore::new(Device::Cpu);
            let config = config(&format!(
                "kind = 'feature'\nweight = 1.0\npairs = [['s', 't']]\nmode = '{mode}'"
            ));
            let term = config.build(&shapes, &store.root(), "/".as_ref()).unwrap();
            let picture = Tensor::zeros([2, 1, 8, 8], tch::kind::FLOAT_CPU);
            let value = |map: &Tensor| {
                let students = named("s", map);
                let view = View {
                    student_features: &students,
                    teacher_features: &teachers,
                    ..view(&picture, &picture)
                };
                term.value(&view).unwrap()
            };
            let name = format!("{mode} to {:?}", teacher.size());
            agree(&name, &student, F32, &value);
            // The adaptor learns as well.
            for adaptor in store.trainable_variables() {
                let start = adaptor.detach().copy();
                let learned = |x: &Tensor| {
                    // The term keeps its own variable: what is differentiated is laid into it.
                    if x.requires_grad() {
                        let loss = value(&student);
                        let slope = Tensor::run_backward(&[&loss], &[&adaptor], false, false);
                        let along = (x * slope[0].detach()).sum(Kind::Float);
                        return &along - along.detach() + loss.detach();
                    }
                    tch::no_grad(|| adaptor.shallow_clone().copy_(x));
                    let loss = value(&student);
                    tch::no_grad(|| adaptor.shallow_clone().copy_(&start));
                    loss
                };
                agree(&format!("{name}, adaptor"), &start, F32, &learned);
            }
        }
    }
}

#[test]
fn of_temporal_consistency() {
    tch::manual_seed(9);
    let input = Tensor::rand([1, 1, 32, 32], tch::kind::FLOAT_CPU);
    // A network of one convolution: the gradient goes through both looks.
    let kernel = Tensor::randn([1, 1, 3, 3], tch::kind::FLOAT_CPU) * 0.3;
    let looked = |kernel: &Tensor| {
        let forward = |x: &Tensor| x + x.conv2d(kernel, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1);
        let first = forward(&input);
        let looks = SecondLook::take(&input, &first, 0.05, 2, &[3], &forward).unwrap();
        let view = View {
            second: Some(&looks),
            ..view(&first, &input)
        };
        TemporalTerm.value(&view).unwrap()
    };
    agree("temporal", &kernel, F32, &looked);
}

#[test]
fn of_every_weighting() {
    tch::manual_seed(10);
    let (truth, picture) = pictures(1, 14, Kind::Float);
    let weights = [2.0, 0.5];
    let terms = |x: &Tensor| {
        [
            Measure::L1.between(x, &truth),
            Measure::Ssim.between(x, &truth),
        ]
    };
    let never_again = WeightingConfig::GradientNorm {
        every: 1 << 20,
        momentum: 0.5,
    };
    for config in [
        WeightingConfig::Static {},
        WeightingConfig::Uncertainty {},
        never_again,
    ] {
        let store = VarStore::new(Device::Cpu);
        let weighting = Weighting::new(&config, &weights, &store.root());
        for mut learned in store.trainable_variables() {
            let other = Tensor::from_slice(&[0.4f32, -0.7]);
            tch::no_grad(|| learned.copy_(&other));
        }
        // The first evaluation measures the gradients; its factors are constants from then on.
        let measured = picture.copy().set_requires_grad(true);
        let shared = [measured.shallow_clone()];
        let _ = weighting
            .total(&terms(&measured), &weights, &shared, 1.0)
            .unwrap();
        agree(&format!("{config:?}"), &picture, F32, &|x| {
            weighting.total(&terms(x), &weights, &[], 1.0).unwrap()
        });
    }
    let logs = Tensor::from_slice(&[0.4f32, -0.7]);
    let values = terms(&picture);
    agree("logarithms of variances", &logs, F32, &|x| {
        Weighting::Uncertainty(x.shallow_clone())
            .total(&values, &weights, &[], 1.0)
            .unwrap()
    });
}
