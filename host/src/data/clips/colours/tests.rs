use super::*;

const SINK: &str = "/GstPipeline:pipeline0/GstFakeSink:probe.GstPad:sink: caps = video/x-raw";

#[test]
fn what_the_decoder_says_is_understood() {
    let colours = |full, weights| Some(Colours { full, weights });
    let bt601 = Colours::STUDIO.weights;
    let bt709 = (0.2126, 0.0722);
    for (said, full, expected) in [
        ("format=(string)I420", false, Some(Colours::STUDIO)),
        ("format=(string)I420", true, colours(true, bt601)),
        (
            "format=(string)I420, colorimetry=(string)1:0:0:0",
            false,
            colours(true, bt601),
        ),
        (
            "format=(string)I420, colorimetry=(string)1:4:0:0",
            false,
            colours(true, bt601),
        ),
        (
            "format=(string)I420, colorimetry=(string)bt709",
            false,
            colours(false, bt709),
        ),
        (
            "format=(string)I420, colorimetry=(string)bt709",
            true,
            colours(true, bt709),
        ),
        (
            "format=(string)Y444, colorimetry=(string)1:3:5:1",
            false,
            colours(true, bt709),
        ),
        (
            "format=(string)Y444, colorimetry=(string)2:4:8:3",
            false,
            Some(Colours::STUDIO),
        ),
        (
            "format=(string)I420_10LE, colorimetry=(string)bt2100-pq",
            false,
            colours(false, (0.2627, 0.0593)),
        ),
        ("format=(string)GBR, colorimetry=(string)sRGB", false, None),
    ] {
        let caps = format!("{SINK}, {said}, framerate=(fraction)30000/1001");
        let container = Said {
            full_range: full,
            matrix: None,
        };
        let stream = Stream::of(&[caps], &container).unwrap();
        assert_eq!(stream.colours, expected, "{said}");
        assert_eq!(stream.rate, Some((30_000, 1001)));
        assert!(!stream.upper_first);
    }
    let caps = format!("{SINK}, framerate=(fraction)0/1");
    let stream = Stream::of(&[caps], &Said::default()).unwrap();
    assert_eq!(stream.rate, None);
    assert_eq!(Stream::of(&[], &Said::default()), None);
}

#[test]
fn a_matrix_that_was_guessed_from_the_size_is_not_believed() {
    let sink = format!("{SINK}, format=(string)I420, colorimetry=(string)bt709");
    let colours = |first: &str, matrix| {
        let container = Said {
            full_range: false,
            matrix,
        };
        let stream = Stream::of(&[first.to_owned(), sink.clone()], &container);
        stream.unwrap().colours.unwrap()
    };
    let y4m =
        "GstTypeFindElement:typefind.GstPad:src: caps = application/x-yuv4mpeg, y4mversion=(int)2";
    let raw = "GstMultiQueue:multiqueue0.GstMultiQueuePad:sink_0: caps = video/x-raw, format=(string)I420";
    let coded = "GstMultiQueue:multiqueue0.GstMultiQueuePad:sink_0: caps = video/x-h264";
    let sound = "GstMultiQueue:multiqueue0.GstMultiQueuePad:sink_1: caps = audio/x-raw";
    let bt709 = colours(coded, None);
    assert_eq!(bt709.weights, (0.2126, 0.0722));
    assert_eq!(colours(sound, None), bt709);
    for first in [y4m, raw] {
        assert_eq!(colours(first, None), Colours::STUDIO);
        assert_eq!(colours(first, Some(6)), Colours::STUDIO);
        assert_eq!(colours(first, Some(1)), bt709);
    }
}

#[test]
fn colours_stay_the_same_in_studio_range() {
    let colours = [
        bytes(false, 601),
        bytes(true, 601),
        bytes(false, 709),
        bytes(true, 709),
    ];
    for (colours, [white, black]) in colours {
        // Greys of every brightness, and what is neither.
        let mut frame = Frame {
            y: vec![white, black, 120, 90, 150],
            u: vec![128, 128, 128, 110, 140],
            v: vec![128, 128, 128, 150, 100],
        };
        let before = rgb(colours, &frame);
        assert_eq!(before[..6], [255, 255, 255, 0, 0, 0]);
        colours.to_studio(&mut frame);
        let after = rgb(Colours::STUDIO, &frame);
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 2;
        assert!(before.iter().zip(&after).all(near), "{before:?} {after:?}");
        assert_eq!((frame.y[0], frame.y[1]), (235, 16));
    }
}

fn rgb(colours: Colours, frame: &Frame) -> Vec<u8> {
    let planes = frame.y.iter().zip(&frame.u).zip(&frame.v);
    let mut pixels: Vec<u8> = planes.flat_map(|((y, u), v)| [*y, *u, *v]).collect();
    colours.to_rgb(&mut pixels);
    pixels
}

/// Colours, and their white and black.
fn bytes(full: bool, matrix: u32) -> (Colours, [u8; 2]) {
    let weights = match matrix {
        709 => (0.2126, 0.0722),
        _ => Colours::STUDIO.weights,
    };
    let ends = if full { [255, 0] } else { [235, 16] };
    (Colours { full, weights }, ends)
}

#[test]
fn which_field_is_first_is_understood() {
    let chain = |flags: &str| {
        format!(
            "/GstPipeline:pipeline0/GstFakeSink:probe: last-message = chain   ******* (probe:sink) (4608 bytes, \
             dts: none, pts: 0:00:00.0, offset_end: -1, flags: {flags} discont , meta: none) 0x7f39e0388b40"
        )
    };
    for (said, flags, fields) in [
        ("interlace-mode=(string)interleaved", "00300040", "top"),
        ("interlace-mode=(string)interleaved", "00100040", "bottom"),
        (
            "interlace-mode=(string)interleaved, field-order=(string)top-field-first",
            "00100040",
            "top",
        ),
        ("interlace-mode=(string)progressive", "00000040", "bottom"),
    ] {
        let caps = [
            format!("{SINK}, {said}, framerate=(fraction)25/1"),
            chain(flags),
        ];
        let stream = Stream::of(&caps, &Said::default());
        let words = Stream::deinterlacer(stream);
        assert!(
            words.ends_with(&format!("fields={fields}")),
            "{said} {flags}: {words}"
        );
    }
}
