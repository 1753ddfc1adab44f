//! TIFF files with what the image library leaves behind: camera, author and date, EXIF, GPS.
//!
//! EXIF and GPS are directories of their own that the picture's directory points to (EXIF 2.32, section
//! 4.6.3), so their fields are copied one by one, in the byte order of this machine.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use anyhow::{Context, bail};
use image::DynamicImage;
use tiff::decoder::Decoder;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::{TiffEncoder, TiffValue};
use tiff::tags::{ByteOrder, ExtraSamples, Tag, Type, ValueBuffer};
use tiff::{Directory, TiffResult};

const ORIENTATION: u16 = 274;
/// Fields of the picture's own directory that do not describe its samples: description, make, model,
/// orientation, resolution, software, date, artist, computer, XMP, copyright, IPTC.
const TOLD: [u16; 14] = [
    270,
    271,
    272,
    ORIENTATION,
    282,
    283,
    296,
    305,
    306,
    315,
    316,
    700,
    33_432,
    33_723,
];
/// Most values kept of all fields together, of up to eight bytes each.
const MAX_VALUES: u64 = 4 << 20;

/// Most directories looked at in search of further pictures.
const MOST_DIRECTORIES: usize = 10_000;
/// Fields that tell what kind of picture a directory describes, and their values (TIFF 6.0, page 36).
const NEW_SUBFILE_TYPE: u16 = 254;
const REDUCED: u32 = 1;
const MASK: u32 = 4;
const SUBFILE_TYPE: u16 = 255;
const OLD_REDUCED: u32 = 2;
/// Where a JPEG inside the file begins.
const JPEG_INTERCHANGE: u16 = 513;

/// What a TIFF file says about its picture.
#[derive(Default)]
pub(super) struct Fields {
    /// Colour profile.
    pub icc: Option<Vec<u8>>,
    told: Vec<(u16, ValueBuffer)>,
    exif: Vec<(u16, ValueBuffer)>,
    gps: Vec<(u16, ValueBuffer)>,
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = |fields: &[(u16, ValueBuffer)]| fields.iter().map(|f| f.0).collect::<Vec<_>>();
        f.debug_struct("Fields")
            .field("told", &tags(&self.told))
            .field("exif", &tags(&self.exif))
            .field("gps", &tags(&self.gps))
            .finish()
    }
}

impl Fields {
    /// Reads the fields of a file's first picture.
    ///
    /// # Errors
    /// When the file is no TIFF.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(BufReader::new(File::open(path)?))?;
        let main = decoder
            .ifd_pointer()
            .context("the file has no directory")
            .and_then(|at| Ok(decoder.read_directory(at)?))?;
        let mut fields = Self::default();
        let mut left = MAX_VALUES;
        let icc = field(&mut decoder, &main, Tag::IccProfile.to_u16(), &mut left);
        fields.icc = icc.map(|(_, value)| value.as_bytes().to_vec());
        for tag in TOLD {
            fields
                .told
                .extend(field(&mut decoder, &main, tag, &mut left));
        }
        for (pointer, list) in [
            (Tag::ExifDirectory, &mut fields.exif),
            (Tag::GpsDirectory, &mut fields.gps),
        ] {
            let Ok(Some(at)) = decoder.find_tag(pointer) else {
                continue;
            };
            // A directory that cannot be read is lost with a picture that still can.
            let Ok(directory) = at
                .into_ifd_pointer()
                .and_then(|at| decoder.read_directory(at))
            else {
                continue;
            };
            let tags: Vec<u16> = directory.iter().map(|(tag, _)| tag.to_u16()).collect();
            for tag in tags {
                list.extend(field(&mut decoder, &directory, tag, &mut left));
            }
        }
        Ok(fields)
    }

    /// Whether they say how the picture is to be turned.
    pub fn tell_orientation(&self) -> bool {
        self.told.iter().any(|(tag, _)| *tag == ORIENTATION)
    }
}

/// How many pictures a file holds; smaller copies of them and masks do not count.
///
/// # Errors
/// When the file is no TIFF.
pub(crate) fn pictures(path: &Path) -> anyhow::Result<usize> {
    let mut decoder = Decoder::new(BufReader::new(File::open(path)?))?;
    let mut next = decoder.ifd_pointer();
    let (mut seen, mut count) = (0, 0);
    // A damaged chain may lead in a circle.
    while let Some(at) = next.filter(|_| seen < MOST_DIRECTORIES) {
        let directory = match decoder.read_directory(at) {
            Ok(directory) => directory,
            // What follows cannot be read, and so is no picture.
            Err(_) => break,
        };
        count += usize::from(seen == 0 || !beside(&mut decoder, &directory));
        seen += 1;
        next = directory.next();
    }
    Ok(count)
}

/// Whether a directory describes a smaller copy of another picture, or a mask.
fn beside(decoder: &mut Decoder<BufReader<File>>, directory: &Directory) -> bool {
    // A thumbnail as EXIF has it (EXIF 2.32, section 4.5.8), which says nothing of its kind.
    if directory.contains(Tag::from_u16_exhaustive(JPEG_INTERCHANGE)) {
        return true;
    }
    let mut tags = decoder.read_directory_tags(directory);
    let mut kind = |tag: u16| {
        let value = tags.find_tag_unsigned::<u32>(Tag::from_u16_exhaustive(tag));
        value.ok().flatten().unwrap_or_default()
    };
    kind(NEW_SUBFILE_TYPE) & (REDUCED | MASK) != 0 || kind(SUBFILE_TYPE) == OLD_REDUCED
}

/// A field in this machine's byte order; `None` when it is missing, too large or damaged.
fn field(
    decoder: &mut Decoder<BufReader<File>>,
    directory: &Directory,
    tag: u16,
    left: &mut u64,
) -> Option<(u16, ValueBuffer)> {
    let name = Tag::from_u16_exhaustive(tag);
    let entry = directory.get(name)?;
    // Offsets of further directories would point to nowhere in another file.
    if matches!(entry.field_type(), Type::IFD | Type::IFD8) {
        return None;
    }
    *left = left.checked_sub(entry.count())?;
    let mut value = ValueBuffer::empty(Type::BYTE);
    let mut fields = decoder.read_directory_tags(directory);
    fields.find_tag_buf(name, &mut value).ok()??;
    value.set_byte_order(ByteOrder::native());
    Some((tag, value))
}

/// `image` as TIFF readers take it: they know no grey with alpha.
pub(super) fn fitting(image: &DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLumaA8(_) => image.to_rgba8().into(),
        DynamicImage::ImageLumaA16(_) => image.to_rgba16().into(),
        _ => image.clone(),
    }
}

/// A TIFF file of `image`, which is [`fitting`]: 8 or 16 bits, with its colour profile and fields.
///
/// # Errors
/// When the image has another layout, or is too large for a TIFF file.
pub(super) fn encode(
    image: &DynamicImage,
    icc: Option<&[u8]>,
    fields: &Fields,
) -> anyhow::Result<Vec<u8>> {
    let size = (image.width(), image.height());
    let file = match image {
        DynamicImage::ImageLuma8(i) => write::<Gray8>(size, i.as_raw(), false, icc, fields),
        DynamicImage::ImageLuma16(i) => write::<Gray16>(size, i.as_raw(), false, icc, fields),
        DynamicImage::ImageRgb8(i) => write::<RGB8>(size, i.as_raw(), false, icc, fields),
        DynamicImage::ImageRgb16(i) => write::<RGB16>(size, i.as_raw(), false, icc, fields),
        DynamicImage::ImageRgba8(i) => write::<RGBA8>(size, i.as_raw(), true, icc, fields),
        DynamicImage::ImageRgba16(i) => write::<RGBA16>(size, i.as_raw(), true, icc, fields),
        _ => bail!("this kind of samples cannot be written as TIFF"),
    };
    file.context("cannot write a TIFF file")
}

fn write<C: ColorType>(
    (width, height): (u32, u32),
    samples: &[C::Inner],
    alpha: bool,
    icc: Option<&[u8]>,
    fields: &Fields,
) -> TiffResult<Vec<u8>>
where
    [C::Inner]: TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut file = TiffEncoder::new(&mut bytes)?;
    let mut pointers = Vec::new();
    for (pointer, list) in [
        (Tag::ExifDirectory, &fields.exif),
        (Tag::GpsDirectory, &fields.gps),
    ] {
        if list.is_empty() {
            continue;
        }
        let mut directory = file.extra_directory()?;
        for (tag, value) in list {
            directory.write_tag_buf(Tag::from_u16_exhaustive(*tag), value)?;
        }
        pointers.push((pointer, directory.finish_with_offsets()?.offset));
    }
    let mut picture = file.new_image::<C>(width, height)?;
    let directory = picture.encoder();
    for (tag, value) in &fields.told {
        directory.write_tag_buf(Tag::from_u16_exhaustive(*tag), value)?;
    }
    for (pointer, offset) in pointers {
        directory.write_tag(pointer, offset)?;
    }
    if alpha {
        let kind = ExtraSamples::UnassociatedAlpha.to_u16();
        directory.write_tag(Tag::ExtraSamples, &[kind][..])?;
    }
    if let Some(icc) = icc {
        directory.write_tag(Tag::IccProfile, icc)?;
    }
    picture.write_data(samples)?;
    Ok(bytes.into_inner())
}
