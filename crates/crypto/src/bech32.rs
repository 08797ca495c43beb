//! Bech32 (BIP 173), the form in which age writes keys: a word, `1`, the bytes in groups of five bits, and six letters that find misprints.

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
/// The number of letters that find misprints.
const CHECK: usize = 6;

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum, value| {
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        let turns = GENERATOR.iter().enumerate().filter(|(bit, _)| ((sum >> 25) >> bit) & 1 == 1);
        turns.fold(shifted, |sum, (_, turn)| sum ^ turn)
    })
}

/// The word as it enters the checksum.
fn expanded(word: &str) -> impl Iterator<Item = u8> {
    word.bytes().map(|byte| byte >> 5).chain([0]).chain(word.bytes().map(|byte| byte & 31))
}

/// Bits in groups of `from`, in groups of `to`; a last group that is not full is filled with zeros.
fn regrouped(groups: impl Iterator<Item = u8>, from: u32, to: u32) -> (Vec<u8>, u32) {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for group in groups {
        held = ((held << from) | u32::from(group)) & 0xfff;
        bits += from;
        while bits >= to {
            bits -= to;
            out.push(u8::try_from((held >> bits) & ((1 << to) - 1)).unwrap_or(0));
        }
    }
    let rest = (held << (to - bits)) & ((1 << to) - 1);
    if to == 5 && bits > 0 {
        out.push(u8::try_from(rest).unwrap_or(0));
        return (out, 0);
    }
    (out, u32::from(bits >= from || (bits > 0 && rest != 0)))
}

/// 32 bytes under a word in small letters.
pub(crate) fn encode(word: &str, bytes: &[u8; 32]) -> String {
    let (groups, _) = regrouped(bytes.iter().copied(), 8, 5);
    let sum = polymod(expanded(word).chain(groups.iter().copied()).chain([0; CHECK])) ^ 1;
    let check = (0..CHECK).map(|at| u8::try_from((sum >> (5 * (5 - at))) & 31).unwrap_or(0));
    let letters = groups.iter().copied().chain(check);
    let letter = |group: u8| LETTERS.get(usize::from(group)).map_or('q', |letter| char::from(*letter));
    let mut text = format!("{word}1");
    text.extend(letters.map(letter));
    text
}

/// The 32 bytes under this word; `None` if the text is not that, or has a misprint.
pub(crate) fn decode(word: &str, text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
    {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let letters = text.strip_prefix(word)?.strip_prefix('1')?;
    let group =
        |letter: u8| LETTERS.iter().position(|one| *one == letter).and_then(|at| u8::try_from(at).ok());
    let groups: Vec<u8> = letters.bytes().map(group).collect::<Option<_>>()?;
    if polymod(expanded(word).chain(groups.iter().copied())) != 1 {
        return None;
    }
    let data = groups.get(..groups.len().checked_sub(CHECK)?)?;
    let (bytes, wrong) = regrouped(data.iter().copied(), 5, 8);
    (wrong == 0).then_some(bytes)?.try_into().ok()
}
