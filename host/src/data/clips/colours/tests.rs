use super::*;

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
        let caps = format!("sink: caps = video/x-raw, {said}, framerate=(fraction)30000/1001");
        let stream = Stream::of(&caps, full);
        assert_eq!(stream.colours, expected, "{said}");
        assert_eq!(stream.rate, Some((30_000, 1001)));
    }
    let stream = Stream::of("caps = video/x-raw, framerate=(fraction)0/1", false);
    assert_eq!(stream.rate, None);
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
        let before = colours.to_rgb(&frame);
        assert_eq!(before[..6], [255, 255, 255, 0, 0, 0]);
        colours.to_studio(&mut frame);
        let after = Colours::STUDIO.to_rgb(&frame);
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 2;
        assert!(before.iter().zip(&after).all(near), "{before:?} {after:?}");
        assert_eq!((frame.y[0], frame.y[1]), (235, 16));
    }
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
