//! Resampling alone: the picture halved and enlarged again. What it gains is noise that went away,
//! not detail that came back.

use crate::data::degrade::resize;
use crate::data::photo::Photo;
use crate::picture::Picture;
use crate::restore::Restore;

/// Halves both sides and enlarges again, bicubically (a = -0.5, antialiased, as Pillow does).
pub struct Bicubic;

impl Restore for Bicubic {
    fn name(&self) -> String {
        "bicubic".into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        let photo = Photo::from_picture(input);
        let half = resize::bicubic(&photo, (photo.width / 2).max(1), (photo.height / 2).max(1));
        let mut picture = resize::bicubic(&half, photo.width, photo.height).picture();
        if input.channels == 1 {
            // The three planes of a grey photo are one and the same.
            picture.data.truncate(input.data.len());
            picture.channels = 1;
        }
        Ok(picture)
    }

    fn takes_luma(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_pictures_survive_and_noise_does_not() {
        let ramp: Vec<u8> = (0..32 * 32).map(|i| (40 + 4 * (i % 32)) as u8).collect();
        let ramp = Picture::from_bytes(1, 32, 32, &ramp);
        let back = Bicubic.restore(&ramp).unwrap();
        let middle = |p: &Picture| p.crop(8, 8, 16, 16);
        assert!(crate::metric::psnr(&middle(&ramp), &middle(&back)) > 45.0);
        let dots: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 251) as u8).collect();
        let dots = Picture::from_bytes(1, 32, 32, &dots);
        assert!(crate::metric::psnr(&dots, &Bicubic.restore(&dots).unwrap()) < 20.0);
        let line = Bicubic.restore(&Picture::new(3, 1, 9)).unwrap();
        assert_eq!((line.height, line.width), (1, 9));
    }
}
