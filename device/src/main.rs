//! `honed`: sharpens a live camera stream.

fn main() {}
