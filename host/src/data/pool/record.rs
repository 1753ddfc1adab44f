//! One patch of a pool: bytes in, deflated bytes out.
//!
//! Pictures are what cameras deliver, bytes. The teacher's answer is its difference to the input in
//! steps of 1/4096 (a sixteenth of a byte's step), maps are f16. Neighbours' differences and split
//! byte planes make them deflate well.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use hone_shared::student::Colour;

use super::manifest::MapShape;
use crate::picture::Picture;

/// Steps of the teacher's residual in 1.0.
const STEPS: f32 = 4096.0;

/// Sizes of a record's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLayout {
    /// Planes of input, truth and answer.
    pub channels: usize,
    /// Side of the planes.
    pub side: usize,
    /// Whether there is a teacher's answer.
    pub teacher: bool,
    /// The teacher's maps.
    pub maps: Vec<MapShape>,
}

/// A patch in memory; planes one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the camera gave.
    pub input: Vec<u8>,
    /// The sharp one.
    pub truth: Vec<u8>,
    /// The teacher's answer minus the input, in 1/4096; empty without a teacher.
    pub residual: Vec<i16>,
    /// Bits of f16 numbers.
    pub maps: Vec<Vec<u16>>,
}

/// Planes of bytes in `colour`, rounded half to even.
pub fn samples(picture: &Picture, colour: Colour) -> Vec<u8> {
    let byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    match colour {
        Colour::Luma => picture.luma().data.iter().map(byte).collect(),
        Colour::Rgb => picture.data.iter().map(byte).collect(),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&v| f32::from(v) / 255.0).collect()
}

impl Record {
    /// Takes the teacher's answer, as many samples as `input`.
    pub fn new(
        input: Vec<u8>,
        truth: Vec<u8>,
        answer: Option<&[f32]>,
        maps: Vec<Vec<u16>>,
    ) -> Self {
        let step = |(v, i): (&f32, &u8)| {
            let steps = (v - f32::from(*i) / 255.0) * STEPS;
            steps.round_ties_even().clamp(-32_768.0, 32_767.0) as i16
        };
        let residual = answer.map_or(Vec::new(), |a| a.iter().zip(&input).map(step).collect());
        Self {
            input,
            truth,
            residual,
            maps,
        }
    }

    /// Memory taken.
    pub fn bytes(&self) -> usize {
        let maps: usize = self.maps.iter().map(Vec::len).sum();
        self.input.len() + self.truth.len() + 2 * (self.residual.len() + maps)
    }

    /// Input in 0..1.
    pub fn input_floats(&self) -> Vec<f32> {
        floats(&self.input)
    }

    /// Truth in 0..1.
    pub fn truth_floats(&self) -> Vec<f32> {
        floats(&self.truth)
    }

    /// The teacher's answer, not clamped; empty without a teacher.
    pub fn teacher_floats(&self) -> Vec<f32> {
        let sum = |(r, i): (&i16, &u8)| f32::from(*i) / 255.0 + f32::from(*r) / STEPS;
        self.residual.iter().zip(&self.input).map(sum).collect()
    }
}

impl RecordLayout {
    fn samples(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Bytes of a record before deflating.
    pub fn bytes(&self) -> usize {
        let maps: usize = self.maps.iter().map(MapShape::values).sum();
        let answer = if self.teacher { self.samples() } else { 0 };
        2 * self.samples() + 2 * (answer + maps)
    }

    /// Deflates a record.
    ///
    /// # Errors
    /// When its parts are not of this layout's sizes.
    pub fn encode(&self, record: &Record) -> Result<Vec<u8>> {
        let answer = if self.teacher { self.samples() } else { 0 };
        let sizes = self.maps.iter().map(MapShape::values);
        let fits = record.input.len() == self.samples()
            && record.truth.len() == self.samples()
            && record.residual.len() == answer
            && record.maps.len() == self.maps.len()
            && record.maps.iter().map(Vec::len).eq(sizes);
        ensure!(fits, "a patch of the teacher cache has the wrong size");
        let mut raw = Vec::with_capacity(self.bytes());
        let mut left = 0_u8;
        for &v in &record.input {
            raw.push(v.wrapping_sub(left));
            left = v;
        }
        raw.extend(
            record
                .truth
                .iter()
                .zip(&record.input)
                .map(|(t, i)| t.wrapping_sub(*i)),
        );
        let residual: Vec<u16> = record.residual.iter().map(|v| v.cast_unsigned()).collect();
        for words in std::iter::once(&residual).chain(&record.maps) {
            raw.extend(words.iter().map(|v| v.to_le_bytes()[0]));
            raw.extend(words.iter().map(|v| v.to_le_bytes()[1]));
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(&raw)?;
        Ok(encoder.finish()?)
    }

    /// Inflates a record; never allocates more than this layout's size.
    ///
    /// # Errors
    /// When the bytes are no record of this layout.
    pub fn decode(&self, bytes: &[u8]) -> Result<Record> {
        let mut raw = vec![0; self.bytes()];
        let mut decoder = DeflateDecoder::new(bytes);
        decoder.read_exact(&mut raw).context("it is cut off")?;
        let more = decoder.read(&mut [0])?;
        ensure!(more == 0, "it is longer than its layout");
        let (input, rest) = raw.split_at(self.samples());
        let (truth, mut rest) = rest.split_at(self.samples());
        let mut left = 0_u8;
        let undo = |v: &u8| {
            left = left.wrapping_add(*v);
            left
        };
        let input: Vec<u8> = input.iter().map(undo).collect();
        let truth = truth
            .iter()
            .zip(&input)
            .map(|(t, i)| t.wrapping_add(*i))
            .collect();
        let mut words = |count: usize| -> Vec<u16> {
            let (low, after) = rest.split_at(count);
            let (high, after) = after.split_at(count);
            rest = after;
            low.iter()
                .zip(high)
                .map(|(l, h)| u16::from_le_bytes([*l, *h]))
                .collect()
        };
        let answer = if self.teacher { self.samples() } else { 0 };
        let residual = words(answer).into_iter().map(u16::cast_signed).collect();
        let maps = self.maps.iter().map(|m| words(m.values())).collect();
        Ok(Record {
            input,
            truth,
            residual,
            maps,
        })
    }
}
