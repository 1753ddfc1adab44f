//! A decoded picture as bytes: a quarter of a [`Picture`]'s memory, for caches.

use crate::picture::Picture;

/// Interleaved RGB bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// `3 * height * width` bytes, R G B.
    pub rgb: Vec<u8>,
}

impl Photo {
    /// Rounds a picture's samples to bytes; a luma picture becomes grey.
    pub fn from_picture(picture: &Picture) -> Self {
        let bytes = picture.to_bytes();
        let rgb = match picture.channels {
            1 => bytes.iter().flat_map(|&v| [v, v, v]).collect(),
            _ => bytes,
        };
        Self {
            height: picture.height,
            width: picture.width,
            rgb,
        }
    }

    /// All of it.
    pub fn picture(&self) -> Picture {
        Picture::from_bytes(3, self.height, self.width, &self.rgb)
    }

    /// The window at (`top`, `left`), which may reach outside: there, pixels are mirrored at the border.
    pub fn window(&self, top: isize, left: isize, height: usize, width: usize) -> Picture {
        let columns: Vec<usize> = (0..width)
            .map(|x| 3 * mirror(left + x as isize, self.width))
            .collect();
        let plane = height * width;
        let mut picture = Picture::new(3, height, width);
        let (red, rest) = picture.data.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for y in 0..height {
            let source = mirror(top + y as isize, self.height) * self.width * 3;
            let row = &self.rgb[source..source + self.width * 3];
            let span = y * width..(y + 1) * width;
            let planes = red[span.clone()]
                .iter_mut()
                .zip(&mut green[span.clone()])
                .zip(&mut blue[span]);
            for (((r, g), b), &x) in planes.zip(&columns) {
                *r = f32::from(row[x]) / 255.0;
                *g = f32::from(row[x + 1]) / 255.0;
                *b = f32::from(row[x + 2]) / 255.0;
            }
        }
        picture
    }
}

/// Index `i` reflected into `0..size` without repeating the border pixel.
pub fn mirror(i: isize, size: usize) -> usize {
    if size <= 1 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    let i = i.rem_euclid(period);
    (if i < size as isize { i } else { period - i }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_mirror_at_the_border() {
        let picture = crate::data::synth::scene(1, 2, 9, 7);
        let photo = Photo::from_picture(&picture);
        assert_eq!(photo.window(2, 3, 4, 5), photo.picture().crop(2, 3, 4, 5));
        let outside = photo.window(-2, -1, 3, 3);
        assert_eq!(outside.data[0], photo.picture().data[2 * 9 + 1]);
        assert_eq!((-9..9).map(|i| mirror(i, 1)).max(), Some(0));
    }
}
