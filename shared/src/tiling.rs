//! Cutting a frame into bands or tiles whose halos make the result equal to the whole frame's.

/// One span of rows (or columns) to compute, with the rows that must be read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First row written.
    pub start: usize,
    /// One past the last row written.
    pub end: usize,
    /// First row read: `start` less the halo, not below 0.
    pub read_start: usize,
    /// One past the last row read: `end` plus the halo, not beyond the frame.
    pub read_end: usize,
}

/// Splits `length` rows into at most `count` spans of nearly equal height.
///
/// Every border between spans is a multiple of `align` (the SpaceToDepth factor), so that blocks
/// are never cut; `halo` is in rows and is rounded up to a multiple of `align`.
///
/// ```
/// let spans = hone_shared::tiling::spans(100, 3, 6, 4);
/// assert_eq!(spans.first().map(|s| (s.start, s.read_end)), Some((0, 40)));
/// assert_eq!(spans.last().map(|s| s.end), Some(100));
/// ```
pub fn spans(length: usize, count: usize, halo: usize, align: usize) -> Vec<Span> {
    let align = align.max(1);
    let halo = halo.div_ceil(align) * align;
    let blocks = length.div_ceil(align);
    let count = count.clamp(1, blocks.max(1));
    let border = |i: usize| (blocks * i / count * align).min(length);
    (0..count)
        .map(|i| (border(i), border(i + 1)))
        .filter(|(start, end)| start < end)
        .map(|(start, end)| Span {
            start,
            end,
            read_start: start.saturating_sub(halo),
            read_end: (end + halo).min(length),
        })
        .collect()
}

/// SpaceToDepth as an order of reading: entry `((by * scale + bx) * C + c) * rows * columns + ...` of
/// `[C*scale*scale, height/scale, width/scale]` is the index of its sample in `[C,height,width]`.
///
/// `height` and `width` are multiples of `scale`. DepthToSpace (mode DCR) writes in the same order.
///
/// ```
/// assert_eq!(hone_shared::tiling::block_order(1, 2, 2, 4), [0, 2, 1, 3, 4, 6, 5, 7]);
/// ```
pub fn block_order(channels: usize, scale: usize, height: usize, width: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(channels * height * width);
    for block in 0..scale * scale {
        let (by, bx) = (block / scale, block % scale);
        for c in 0..channels {
            for y in (by..height).step_by(scale) {
                order.extend(
                    (bx..width)
                        .step_by(scale)
                        .map(|x| (c * height + y) * width + x),
                );
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_every_row_once_and_keep_blocks_whole() {
        for length in [1, 2, 7, 64, 101, 1080] {
            for count in [1, 2, 3, 16, 2000] {
                for align in [1, 2, 4] {
                    let spans = spans(length, count, 5, align);
                    assert_eq!(spans[0].start, 0);
                    assert_eq!(spans[spans.len() - 1].end, length);
                    for pair in spans.windows(2) {
                        assert_eq!(pair[0].end, pair[1].start);
                        assert_eq!(pair[0].end % align, 0);
                    }
                    for s in &spans {
                        assert!(s.start < s.end && s.read_start <= s.start && s.read_end >= s.end);
                        assert!(s.read_start == 0 || s.start - s.read_start >= 5);
                        assert!(s.read_end == length || s.read_end - s.end >= 5);
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_frame_has_no_spans() {
        assert!(spans(0, 4, 5, 2).is_empty());
    }
}
