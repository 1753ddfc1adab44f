//! Reports as single HTML files that need no network: evaluations, and rating pages for people.

mod axis;
pub mod compare;
pub mod mos;
pub mod page;
pub(crate) mod plot;

use crate::picture::Picture;

/// Text as it may stand in HTML, attributes included.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A picture as a `data:` address of a PNG.
///
/// # Errors
/// When the picture cannot be encoded.
pub fn data_url(picture: &Picture) -> anyhow::Result<String> {
    let (w, h) = (
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
    );
    let mut png = std::io::Cursor::new(Vec::new());
    let colour = match picture.channels {
        1 => image::ExtendedColorType::L8,
        _ => image::ExtendedColorType::Rgb8,
    };
    let bytes = picture.to_bytes();
    image::write_buffer_with_format(&mut png, &bytes, w, h, colour, image::ImageFormat::Png)?;
    Ok(format!("data:image/png;base64,{}", base64(png.get_ref())))
}

/// RFC 4648 base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests;
