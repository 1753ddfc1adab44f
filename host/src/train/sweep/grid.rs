//! The grid of a sweep: keys of the recipe, and the values they take.

use anyhow::{Result, ensure};
use toml::{Table, Value};

/// Most runs of a sweep.
const MAX_RUNS: usize = 10_000;

/// One key and the values it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    key: String,
    values: Vec<String>,
}

impl Axis {
    /// The key of the recipe.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl std::str::FromStr for Axis {
    type Err = String;

    /// `key=value,value`; values are TOML (`[8, 16]` is one value) or bare words.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, list) = text
            .split_once('=')
            .ok_or_else(|| format!("grid '{text}' is not key=value,value"))?;
        let typed = format!("v = [{list}]").parse::<Table>().ok();
        let values: Vec<String> = match typed.as_ref().and_then(|t| t.get("v")) {
            Some(Value::Array(values)) => values.iter().map(Value::to_string).collect(),
            _ => list.split(',').map(|v| v.trim().to_owned()).collect(),
        };
        if key.trim().is_empty() || values.is_empty() || values.iter().any(String::is_empty) {
            return Err(format!("grid '{text}' names no key or no value"));
        }
        let key = key.trim().to_owned();
        Ok(Self { key, values })
    }
}

/// One combination: `key=value` pairs in the grid's order.
pub type Setting = Vec<String>;

/// Every combination, the last axis fastest.
///
/// # Errors
/// When there are none or too many, or a key has two lists of values.
pub fn combinations(grid: &[Axis]) -> Result<Vec<Setting>> {
    let count = grid
        .iter()
        .try_fold(1_usize, |n, axis| n.checked_mul(axis.values.len()));
    ensure!(
        !grid.is_empty() && count.is_some_and(|n| n <= MAX_RUNS),
        "a sweep needs a --grid, and at most {MAX_RUNS} combinations"
    );
    let mut settings: Vec<Setting> = vec![Vec::new()];
    for (number, axis) in grid.iter().enumerate() {
        ensure!(
            grid[..number].iter().all(|before| before.key != axis.key),
            "--grid names {} twice: list all of its values in one",
            axis.key
        );
        let extend = |setting: &Setting| {
            let with = |value: &String| {
                let mut longer = setting.clone();
                longer.push(format!("{}={value}", axis.key));
                longer
            };
            axis.values.iter().map(with).collect::<Vec<_>>()
        };
        settings = settings.iter().flat_map(extend).collect();
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_becomes_every_combination() {
        let axis = |text: &str| text.parse::<Axis>().unwrap();
        let grid = [
            axis("optimizer.learning_rate=1e-3,2e-3"),
            axis("student.channels=8,[8, 12]"),
        ];
        let settings = combinations(&grid).unwrap();
        assert_eq!(settings.len(), 4);
        assert_eq!(settings[0][1], "student.channels=8");
        assert_eq!(settings[3][1], "student.channels=[8, 12]");
        assert_eq!(
            axis("data.degradation=motion,defocus").values,
            ["motion", "defocus"]
        );
        for wrong in ["", "a", "a=", "=1"] {
            assert!(wrong.parse::<Axis>().is_err(), "{wrong}");
        }
        assert!(combinations(&[]).is_err());
        let twice = [axis("seed=1,2"), axis("student.channels=8"), axis("seed=3")];
        let error = combinations(&twice).unwrap_err().to_string();
        assert!(error.contains("seed twice"), "{error}");
    }
}
