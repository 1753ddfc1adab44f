//! Patches with the teacher's answers, as a cache keeps them.

use std::cell::Cell;

use anyhow::{Context, Result, ensure};
use hone_shared::print::tell;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::data::pool::{self, CropMaps, Manifest, MapShape, Record, RecordLayout};
use crate::data::source::{Pair, PairSource};
use crate::teacher;
use crate::train::guide::Guide;
use crate::train::memory::guard;

/// Of patches: what the teacher made of them, and the bits of each wanted map as f16.
type Answers = (Vec<f32>, Vec<Vec<u16>>);

/// Makes the records of patches of one side.
pub(super) struct Maker<'a> {
    pub source: &'a dyn PairSource,
    pub manifest: &'a Manifest,
    pub maps: &'a CropMaps,
    pub layout: RecordLayout,
    pub guide: Option<&'a Guide>,
    pub device: Device,
    /// Patches that the teacher sees at once, as far as the memory is known to hold them.
    pub at_once: &'a Cell<usize>,
}

impl Maker<'_> {
    /// Deflated records of these patches.
    pub fn records(&self, indices: std::ops::Range<usize>) -> Result<Vec<Vec<u8>>> {
        let (crop, colour) = (self.maps.crop, self.manifest.colour);
        // Threads share these; the teacher stays on its own.
        let (source, layout) = (self.source, &self.layout);
        let seed = self.manifest.patch_seed(crop);
        let pairs: Vec<Pair> = indices
            .into_par_iter()
            .map(|index| source.patch(seed, index as u64, crop))
            .collect::<Result<_>>()?;
        let (answers, maps) = match self.guide {
            None => (Vec::new(), Vec::new()),
            Some(guide) => self.ask(guide, &pairs)?,
        };
        let size = self.layout.channels * crop * crop;
        let records: Vec<Record> = pairs
            .iter()
            .enumerate()
            .map(|(i, pair)| {
                let answer = self.guide.map(|_| &answers[i * size..(i + 1) * size]);
                let of_patch = |(all, shape): (&Vec<u16>, &MapShape)| {
                    all[i * shape.values()..(i + 1) * shape.values()].to_vec()
                };
                Record::new(
                    pool::samples(&pair.input, colour),
                    pool::samples(&pair.truth, colour),
                    answer,
                    maps.iter().zip(&self.layout.maps).map(of_patch).collect(),
                )
            })
            .collect();
        records.par_iter().map(|r| layout.encode(r)).collect()
    }

    /// The teacher's answers, and the bits of each wanted map as f16.
    fn ask(&self, guide: &Guide, pairs: &[Pair]) -> Result<Answers> {
        let (mut answers, mut maps) = (Vec::new(), vec![Vec::new(); self.layout.maps.len()]);
        let mut rest = pairs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.at_once.get().min(rest.len()));
            let Some((more, of_maps)) = guard(|| self.ask_at_once(guide, now))? else {
                self.at_once.set(self.fewer(now.len())?);
                continue;
            };
            answers.extend(more);
            for (map, more) in maps.iter_mut().zip(of_maps) {
                map.extend(more);
            }
            rest = later;
        }
        Ok((answers, maps))
    }

    /// How many patches are asked about after the memory ran out for `count`.
    fn fewer(&self, count: usize) -> Result<usize> {
        ensure!(
            count > 1,
            "the memory does not hold this teacher on a single patch of {0}x{0}: lower the stage's crop, or compute on \
             another --device",
            self.maps.crop
        );
        let fewer = count.div_ceil(2);
        tell(format_args!(
            "note: the memory does not hold the teacher on {count} patches: going on with {fewer} at once"
        ));
        Ok(fewer)
    }

    fn ask_at_once(&self, guide: &Guide, pairs: &[Pair]) -> Result<Answers> {
        let crop = self.maps.crop as i64;
        let colour = guide.batch_colour();
        let mut bytes = Vec::new();
        for pair in pairs {
            bytes.extend(pool::samples(&pair.input, colour));
        }
        let shape = [pairs.len() as i64, colour.channels() as i64, crop, crop];
        let input = Tensor::from_slice(&bytes)
            .reshape(shape)
            .to_device(self.device);
        let guidance = guide.guide(&(input.to_kind(Kind::Float) / 255.0));
        let output = teacher::checked(guidance.output)?;
        let answers = Vec::try_from(flat(&output.to_kind(Kind::Float)))?;
        let mut maps = Vec::with_capacity(self.layout.maps.len());
        for shape in &self.layout.maps {
            let found = guidance.features.iter().find(|(n, _)| *n == shape.name);
            let (name, map) = found.context("the teacher lost a map")?;
            let count = pairs.len() * shape.values();
            ensure!(
                map.numel() == count,
                "the teacher's map '{name}' changed its size"
            );
            maps.push(halves(name, map)?);
        }
        Ok((answers, maps))
    }
}

fn flat(tensor: &Tensor) -> Tensor {
    tensor.to_device(Device::Cpu).contiguous().flatten(0, -1)
}

/// The bits of a map as f16.
fn halves(name: &str, map: &Tensor) -> Result<Vec<u16>> {
    let half = flat(&map.to_kind(Kind::Half));
    ensure!(
        half.isfinite().all().int64_value(&[]) != 0,
        "the teacher's map '{name}' has values that a cache cannot hold (beyond 65504, or no numbers): take another map in \
         the recipe's feature loss, or distil without a cache"
    );
    let mut raw = vec![0; 2 * half.numel()];
    half.f_copy_data_u8(&mut raw, half.numel())?;
    let words = raw
        .chunks_exact(2)
        .map(|b| u16::from_ne_bytes([b[0], b[1]]));
    Ok(words.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data;
    use crate::data::config::{DataConfig, Layout};
    use crate::data::pool::PoolTeacher;
    use crate::teacher::{Taps, Teacher};
    use hone_shared::student::Colour;

    /// A teacher on a device whose memory holds so many patches.
    #[derive(Debug)]
    struct Large(i64);

    impl Teacher for Large {
        fn name(&self) -> &'static str {
            "large"
        }

        fn channels(&self) -> i64 {
            1
        }

        fn multiple(&self) -> i64 {
            1
        }

        fn stages(&self, x: &Tensor, _: &mut Taps) -> Vec<Tensor> {
            assert!(x.size()[0] <= self.0, "CUDA out of memory");
            vec![x * 0.5]
        }
    }

    #[test]
    fn a_teacher_is_asked_about_as_many_patches_as_the_memory_holds() {
        let config = DataConfig {
            layout: Layout::Scenes,
            count: 4,
            size: [96, 80],
            pool: 8,
            degradation: "gaussian:sigma=1".parse().unwrap(),
            ..DataConfig::default()
        };
        let source = data::open(&config, Path::new(".")).unwrap();
        let mut manifest = Manifest::new(&config, &*source, Colour::Luma, &[16]).unwrap();
        manifest.teacher = Some(PoolTeacher {
            architecture: "large".into(),
            options_sha256: String::new(),
            weights_sha256: String::new(),
        });
        let records = |memory: i64| {
            let guide = Guide::new(Box::new(Large(memory)), false, Colour::Luma, &[]).unwrap();
            let maps = &manifest.crops[0];
            let at_once = Cell::new(8);
            let maker = Maker {
                source: &*source,
                manifest: &manifest,
                maps,
                layout: manifest.layout(maps),
                guide: Some(&guide),
                device: Device::Cpu,
                at_once: &at_once,
            };
            maker.records(0..8).map(|records| (records, at_once.get()))
        };
        let (whole, at_once) = records(8).unwrap();
        assert_eq!(at_once, 8);
        assert_eq!(records(3).unwrap(), (whole, 2));
        let error = records(0).unwrap_err().to_string();
        assert!(error.contains("single patch of 16x16"), "{error}");
    }

    #[test]
    fn a_map_that_f16_does_not_hold_is_named() {
        let bits = halves("body", &Tensor::from_slice(&[1.0f32, -65_504.0])).unwrap();
        assert_eq!(bits, [0x3c00, 0xfbff]);
        for value in [7e4, f32::NAN] {
            let error = halves("body", &Tensor::from_slice(&[1.0, value])).unwrap_err();
            assert!(error.to_string().contains("map 'body'"), "{error}");
        }
    }
}
