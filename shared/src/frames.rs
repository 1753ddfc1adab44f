//! What `honed` says in the PNG files of frames, and `hone eval` reads there.

/// A `tEXt` chunk, right behind the header: the grey values are video luma from 16 to 235, which no field of a PNG says.
/// Without it they go from 0 to 255.
pub const STUDIO_LUMA: [u8; 29] = *b"\0\0\0\x11tEXtLuma range\x0016-235\x81\xb0m8";

/// Length of what stands before it in each PNG: the signature and the header.
pub const PNG_HEADER: usize = 33;
