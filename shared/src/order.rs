//! The order in which people count: `frame2.png` before `frame10.png`. What reads the files of a folder as frames, on the
//! board and on the workstation, agrees on it.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::path::Path;

/// Compares two paths folder by folder, runs of digits as numbers. Where all numbers have as many digits, this is the order
/// of paths as they are.
pub fn paths(a: &Path, b: &Path) -> Ordering {
    let (mut left, mut right) = (a.components(), b.components());
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) => match names(a.as_os_str(), b.as_os_str()) {
                Ordering::Equal => {}
                order => return order,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

fn names(a: &OsStr, b: &OsStr) -> Ordering {
    let (mut left, mut right) = (a.as_encoded_bytes(), b.as_encoded_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            // Of any length: more digits are the larger number.
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    // 01 and 1 are one number and two names.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the front, without the zeros before them.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|c| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    let zeros = digits.iter().take_while(|c| **c == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut names: Vec<&str>) -> Vec<&str> {
        names.sort_by(|a, b| paths(Path::new(a), Path::new(b)));
        names
    }

    #[test]
    fn digits_are_numbers() {
        let right = vec![
            "a/frame0.png",
            "a/frame1.png",
            "a/frame2.png",
            "a/frame10.png",
            "a/frame99999999999999999999998.png",
            "a/frame99999999999999999999999.png",
            "a.png",
            "a10/1.png",
            "b/01.png",
            "b/1.png",
            "b/1a.png",
            "b/02.png",
        ];
        let mut mixed = right.clone();
        mixed.reverse();
        assert_eq!(sorted(mixed), right);
    }

    #[test]
    fn padded_numbers_keep_the_order_of_paths() {
        let names = vec![
            "a/0001.png",
            "a/0002.png",
            "a/0010.png",
            "b/0001.png",
            "b-c/0001.png",
        ];
        let mut by_path: Vec<&str> = names.clone();
        by_path.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
        assert_eq!(sorted(names), by_path);
    }
}
