//! The students that recipes ship for.

use hone_shared::student::Colour;

use super::config::{
    Channels, Cnn4Config, DsUnetConfig, NafnetLiteConfig, StudentCnnConfig, StudentNetConfig,
};
use super::{PlainConfig, StudentConfig};

/// Name, planes and size of every shipped student: the real-time ladder, smallest first, `small`
/// with the frame before, then the students of the reports.
pub fn catalogue() -> Vec<(&'static str, Colour, StudentConfig)> {
    let plain = |channels: &[usize]| {
        StudentConfig::Plain(PlainConfig {
            scale: 2,
            channels: Channels::Each(channels.to_vec()),
            convs: channels.len() + 1,
            branches: true,
            temporal: false,
            limited: true,
        })
    };
    let temporal = StudentConfig::Plain(PlainConfig {
        scale: 2,
        channels: Channels::Uniform(8),
        convs: 6,
        branches: true,
        temporal: true,
        limited: true,
    });
    let channels = vec![16, 32, 16];
    let cnn4 = StudentConfig::Cnn4(Cnn4Config { channels });
    let studentcnn = StudentConfig::Studentcnn(StudentCnnConfig { channels: 64 });
    let studentnet = StudentConfig::Studentnet(StudentNetConfig {
        convs: 5,
        channels: 64,
    });
    vec![
        ("nano", Colour::Luma, plain(&[8; 3])),
        ("small", Colour::Luma, plain(&[8; 5])),
        ("medium", Colour::Luma, plain(&[16, 16, 16, 12])),
        ("large", Colour::Luma, plain(&[16, 16, 16, 16, 16, 12])),
        ("temporal", Colour::Luma, temporal),
        ("cnn4", Colour::Rgb, cnn4),
        ("studentcnn", Colour::Rgb, studentcnn),
        ("studentnet", Colour::Rgb, studentnet),
        (
            "dsunet",
            Colour::Rgb,
            StudentConfig::Dsunet(DsUnetConfig::default()),
        ),
        (
            "nafnet-lite",
            Colour::Rgb,
            StudentConfig::NafnetLite(NafnetLiteConfig::default()),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hone_shared::student::Precision;

    use super::*;
    use crate::recipe::{Recipe, RecipeText};
    use crate::student::{Student, build};

    #[test]
    fn the_students_have_the_sizes_they_are_known_for() {
        let mut found = Vec::new();
        for (name, colour, config) in catalogue() {
            let store = tch::nn::VarStore::new(tch::Device::Cpu);
            let student = build(&config, colour, &store.root()).unwrap();
            let learned: usize = store
                .trainable_variables()
                .iter()
                .map(tch::Tensor::numel)
                .sum();
            let parameters = student.fold().map_or(learned, |chain| chain.parameters());
            found.push((name, parameters, student.macs_per_pixel().unwrap()));
        }
        let macs = |name| found.iter().find(|f| f.0 == name).unwrap().2;
        for (name, published) in [
            ("nano", 432.0),
            ("small", 720.0),
            ("medium", 1836.0),
            ("large", 2988.0),
            ("temporal", 792.0),
            ("cnn4", 10_080.0),
            ("studentcnn", 77_184.0),
            ("studentnet", 114_048.0),
            ("nafnet-lite", 129_216.0),
        ] {
            assert_eq!(macs(name), published, "{name}");
        }
        let parameters = |name| found.iter().find(|f| f.0 == name).unwrap().1;
        let ranges = [
            ("studentcnn", 76_000..79_000),
            ("dsunet", 100_000..1_250_000),
            ("nafnet-lite", 2_500_000..3_500_000),
        ];
        for (name, range) in ranges {
            assert!(
                range.contains(&parameters(name)),
                "{name}: {}",
                parameters(name)
            );
        }
    }

    #[test]
    fn the_ladder_is_the_recipes_and_what_ships() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let bundle = crate::bundle::open(&models.join("mixed.hone")).unwrap();
        let shipped = &bundle.manifest().models;
        assert_eq!(shipped.len(), 8);
        for (name, colour, config) in catalogue().into_iter().take(4) {
            let path = models.join(format!("recipes/ladder-{name}.toml"));
            let recipe = Recipe::from_text(&RecipeText::read(&path).unwrap()).unwrap();
            let store = tch::nn::VarStore::new(tch::Device::Cpu);
            let student = build(&config, colour, &store.root()).unwrap();
            let store = tch::nn::VarStore::new(tch::Device::Cpu);
            let trained = build(&recipe.student, recipe.colour, &store.root()).unwrap();
            assert_eq!(recipe.colour, colour);
            let layers = |student: &dyn Student| {
                let chain = student.fold().unwrap();
                let shapes = chain.layers.iter().map(|l| (l.inputs, l.outputs, l.kernel));
                (chain.scale, chain.limited, shapes.collect::<Vec<_>>())
            };
            assert_eq!(layers(trained.as_ref()), layers(student.as_ref()), "{name}");
            for precision in [Precision::F32, Precision::Int8] {
                let found = bundle.manifest().model(name, precision).unwrap();
                let macs = student.macs_per_pixel().unwrap();
                assert_eq!(found.macs_per_pixel, macs, "{name} {precision}");
            }
        }
    }
}
