//! A parameter of a degradation: a number, or a range from which every patch draws its own.

use std::fmt;

use rand::Rng;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::random::Stream;

/// `low..=high`; written as `3`, `[1, 3]` or `"1..3"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
}

impl Range {
    /// From `low` to `high`.
    pub const fn new(low: f32, high: f32) -> Self {
        Self { low, high }
    }

    /// A value drawn evenly.
    pub fn draw(self, rng: &mut Stream) -> f32 {
        self.low + (self.high - self.low) * rng.random::<f32>()
    }

    /// Whether all of the range lies in `low..=high`.
    pub fn within(self, low: f32, high: f32) -> bool {
        self.low >= low && self.high <= high && self.low <= self.high
    }
}

impl From<f32> for Range {
    fn from(value: f32) -> Self {
        Self::new(value, value)
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.low == self.high {
            self.low.serialize(serializer)
        } else {
            [self.low, self.high].serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Range;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, [low, high] or \"low..high\"")
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Range, E> {
                Ok((v as f32).into())
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Range, E> {
                Ok((v as f32).into())
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Range, E> {
                Ok((v as f32).into())
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Range, E> {
                let (low, high) = v.split_once("..").unwrap_or((v, v));
                match (low.trim().parse(), high.trim().parse()) {
                    (Ok(low), Ok(high)) => Ok(Range::new(low, high)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Range, A::Error> {
                match (seq.next_element()?, seq.next_element()?) {
                    (Some(low), Some(high)) => Ok(Range::new(low, high)),
                    _ => Err(de::Error::invalid_length(1, &self)),
                }
            }
        }
        deserializer.deserialize_any(Form)
    }
}
