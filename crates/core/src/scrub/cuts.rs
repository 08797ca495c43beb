//! Where a text is cut that is too long.

/// At most `max` bytes, with a mark at the cut.
pub fn cut(mut text: String, max: usize) -> String {
    const MARK: &str = "\n[cut]\n";
    if text.len() > max {
        let at =
            (0..=max.saturating_sub(MARK.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
        text.push_str(MARK);
    }
    text
}

/// The end of a text that was cut, from its first whole line: half a line may be half a secret whose mark was in the
/// other half.
pub fn from_next_line(tail: &[u8]) -> &[u8] {
    const LINE_MAX: usize = 4 << 10;
    let near = tail.get(..LINE_MAX).unwrap_or(tail);
    let at = near.iter().position(|b| *b == b'\n').or_else(|| near.iter().position(|b| *b == b' '));
    tail.get(at.map_or(near.len(), |at| at + 1)..).unwrap_or_default()
}
