//! Degradations as text and as recipe tables.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Degradation, PRESETS, Step, preset};

impl Degradation {
    /// Steps whose parameters are in bounds.
    ///
    /// # Errors
    /// Which parameter is out of bounds.
    pub fn new(steps: Vec<Step>) -> Result<Self, String> {
        for (i, step) in steps.iter().enumerate() {
            step.check(i == 0)?;
        }
        Ok(Self { steps })
    }
}

impl FromStr for Degradation {
    type Err = String;

    /// `preset`, or `kind:name=value,name=low..high + kind ...`; presets may stand among the steps.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split('+') {
            let part = part.trim();
            if let Some(known) = preset(part) {
                steps.extend(known.steps);
            } else {
                steps.push(step(part)?);
            }
        }
        Self::new(steps)
    }
}

fn step(text: &str) -> Result<Step, String> {
    let (kind, parameters) = text.split_once(':').unwrap_or((text, ""));
    let mut table = toml::Table::new();
    table.insert("kind".into(), kind.trim().into());
    for pair in parameters.split(',').filter(|p| !p.trim().is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("degradation '{text}': '{pair}' is not name=value"))?;
        table.insert(name.trim().into(), value.trim().into());
    }
    Step::deserialize(table).map_err(|e| {
        format!(
            "degradation '{text}': {} (or a preset: {})",
            e.message(),
            PRESETS.join(", ")
        )
    })
}

impl Serialize for Degradation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.steps.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Degradation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Degradation;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a preset's name, a line of steps, or a list of steps")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Degradation, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Degradation, A::Error> {
                let mut steps = Vec::new();
                while let Some(step) = seq.next_element()? {
                    steps.push(step);
                }
                Degradation::new(steps).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_tables_mean_the_same() {
        #[derive(Deserialize, Serialize)]
        struct Table {
            degradation: Degradation,
        }
        let text: Degradation = "disc:radius=1..2.5 + jpeg:quality=80".parse().unwrap();
        let toml =
            "degradation = [{kind = 'disc', radius = [1, 2.5]}, {kind = 'jpeg', quality = 80}]";
        let table: Table = toml::from_str(toml).unwrap();
        assert_eq!(table.degradation, text);
        let again: Table = toml::from_str(&toml::to_string(&table).unwrap()).unwrap();
        assert_eq!(again.degradation, text);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("blurr", "blurr"),
            ("disc:radios=1", "radios"),
            ("chroma:quality=50", "quality"),
            ("disc:radius=99", "radius must lie in 0..24"),
            ("jpeg:quality", "name=value"),
            ("jpeg:quality=a..b", "low..high"),
            ("noise + frames:count=5", "first step"),
        ] {
            let error = text.parse::<Degradation>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
